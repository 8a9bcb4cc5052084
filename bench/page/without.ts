throw new Error('this page does without echarts')
export {}
