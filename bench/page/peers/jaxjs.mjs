import '../../peers/jaxjs.mjs'
