import { chartProperties } from '../results/chart-colors.ts'

/** Style sheet of the report: one column, following the reader's light or dark mode on screen, light on paper. */
export const STYLE = `
:root {
  color-scheme: light dark;
  ${chartProperties('light')}
  --ground: #f6f7f9; --card: #ffffff; --text: #1b1f27; --muted: #5f6877; --line: #e3e6eb; --soft: #eef1f5;
  --first: #2563eb; --second: #d9480f; --good: #15803d; --warn-ground: #fff4e0; --warn-text: #7a4300; --warn-line: #f0c27b;
  --fullest: 85%;
}
@media (prefers-color-scheme: dark) {
  :root {
    ${chartProperties('dark')}
    --ground: #0f1216; --card: #171b21; --text: #e6e9ee; --muted: #98a2b3; --line: #2a303a; --soft: #1f252d;
    --first: #7aa2ff; --second: #ff9a62; --good: #5fd28a; --warn-ground: #33240c; --warn-text: #ffd999; --warn-line: #6f4e16;
    --fullest: 55%;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 0; letter-spacing: -.005em; }
h3 { font-size: .8rem; font-weight: 600; margin: 1.5rem 0 .5rem; }
p { margin: .25rem 0; }
code { font: .85em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
a { color: var(--first); text-decoration: none; }
a:hover { text-decoration: underline; }
.muted, .caption { color: var(--muted); }
.caption { font-size: .8rem; margin-top: .5rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem 1.5rem 1.5rem; margin-top: 1.25rem; }
.note { background: var(--warn-ground); color: var(--warn-text); border: 1px solid var(--warn-line); border-radius: 10px; padding: .6rem 1rem; margin-top: 1rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: .9rem 1.5rem; margin: 0; }
.facts div { min-width: 0; }
.facts .wide { grid-column: 1 / -1; }
@media (min-width: 640px) { .facts .two { grid-column: span 2; } }
dt { color: var(--muted); font-size: .78rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .88rem; }
th { color: var(--muted); font-weight: 500; text-align: right; padding: .3rem .6rem; white-space: nowrap; }
td { text-align: right; padding: .38rem .6rem; border-top: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead tr.groups th { text-align: left; color: var(--text); font-weight: 600; padding-bottom: 0; }
tbody + tbody tr:first-child td { border-top: 2px solid var(--line); }
.theirs { color: var(--muted); }
.first-theirs { border-left: 1px solid var(--line); padding-left: 1rem; }
.narrow { width: auto; }
.pairs { margin: 0; padding: 0; list-style: none; font-size: .85rem; }
.pairs b { display: inline-block; min-width: 1rem; text-align: right; margin-right: .4rem; font-variant-numeric: tabular-nums; }
.accuracy { font-weight: 600; }
.bar { position: relative; display: block; width: 100%; min-width: 100px; height: 12px; background: var(--soft); border-radius: 3px; }
.bar i { position: absolute; inset: 0 auto 0 0; background: var(--first); border-radius: 3px; }
.bar b { position: absolute; top: -3px; bottom: -3px; width: 2px; background: var(--second); }
.bar u { position: absolute; top: 5px; height: 2px; background: var(--text); opacity: .75; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .8rem; color: var(--muted); margin-top: .75rem; }
.legend i, .legend b { display: inline-block; vertical-align: -1px; margin-right: .4rem; }
.legend i { width: 14px; height: 10px; border-radius: 3px; background: var(--first); }
.legend u { display: inline-block; width: 14px; height: 2px; vertical-align: 3px; margin-right: .4rem; background: var(--text); }
.legend b { width: 2px; height: 14px; background: var(--second); }
.head { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: .25rem 1.5rem; }
.head strong { font-size: 1.5rem; font-weight: 650; letter-spacing: -.01em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 1rem 2rem; margin-top: 1rem; }
.chart svg { display: block; width: 100%; height: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(108px, 1fr)); gap: .75rem; margin: 0; padding: 0; list-style: none; }
.tiles img { display: block; width: 100%; aspect-ratio: 1; border-radius: 6px; background: var(--soft); }
.tiles li { font-size: .76rem; line-height: 1.3; min-width: 0; overflow-wrap: anywhere; }
.tiles span { display: block; }
.tiles img + span, .tiles .pair + span, .tiles .mix + span { margin-top: .3rem; }
.mix { display: flex; height: 5px; margin-top: .3rem; border-radius: 3px; overflow: hidden; background: var(--second); }
.mix i { background: var(--first); }
.columns { display: grid; grid-template-columns: minmax(0, 11fr) minmax(0, 10fr); gap: 0 2rem; }
.confusion { width: auto; font-size: .78rem; border-collapse: separate; border-spacing: 2px; }
.confusion th { padding: .15rem .35rem; }
.confusion thead th { height: 7.2rem; vertical-align: bottom; padding: 0; }
.confusion thead th span { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); padding: .35rem 0; }
.confusion tbody th { position: sticky; left: 0; text-align: right; color: var(--text); background: var(--card); }
.confusion th, .confusion th span { max-width: 11rem; max-height: 11rem; overflow: hidden; text-overflow: ellipsis; }
.confusion td { width: 2rem; min-width: 2rem; height: 2rem; padding: 0; text-align: center; border: 0; border-radius: 4px; background: color-mix(in srgb, var(--second) calc(var(--share) * var(--fullest)), var(--soft)); }
.confusion td.right { background: color-mix(in srgb, var(--first) calc(var(--share) * var(--fullest)), var(--soft)); }
.confusion td.none { color: transparent; }
.confusion td.sum { background: none; width: auto; padding: 0 .2rem 0 .7rem; color: var(--muted); }
.wrong .tiles { grid-template-columns: repeat(4, minmax(0, 1fr)); }
.wrong .tiles.maps { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.maps .pair { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem; }
@media (max-width: 820px) { .columns { grid-template-columns: minmax(0, 1fr); } .card { padding: 1rem; } body { padding: 1.25rem .75rem 3rem; } }
@media print {
  :root {
    color-scheme: light;
    ${chartProperties('light')}
    --ground: #fff; --card: #fff; --text: #000; --muted: #4b5563; --line: #d5d9e0; --soft: #eef1f5; --first: #2563eb; --second: #d9480f;
    --warn-ground: #fff; --warn-text: #7a4300; --fullest: 85%;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  @page { margin: 11mm; }
  html { font-size: 10px; }
  body { padding: 0; font-size: 8.5pt; }
  main { max-width: none; }
  h1 { font-size: 15pt; }
  h2 { font-size: 12pt; }
  h3 { font-size: 7.5pt; margin: .9rem 0 .35rem; }
  table { font-size: 7pt; }
  th, td { padding: .16rem .4rem; }
  .bar { min-width: 80px; height: 9px; }
  .scroll { overflow: visible; }
  .card { border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: .8rem 0; }
  section.card { break-before: page; border-top: 0; }
  .charts { grid-template-columns: 1fr 1fr; gap: .5rem 1.5rem; }
  .tiles { grid-template-columns: repeat(8, minmax(0, 1fr)); gap: .4rem; }
  .tiles li { font-size: 6.5pt; }
  .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 1.5rem; }
  .confusion, .pairs { font-size: 6.5pt; }
  .confusion td { width: 1.35rem; min-width: 1.35rem; height: 1.35rem; }
  .charts, .tiles, .columns, table, .head { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
`
