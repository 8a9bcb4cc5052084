import '../../peers/tfjs.mjs'
