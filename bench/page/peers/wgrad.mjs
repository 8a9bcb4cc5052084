import '../../peers/wgrad.mjs'
