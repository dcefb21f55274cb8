import { markup } from './markup.ts';

/** Light and dark by the reader's own choice, black on white on paper; colours that the colour-blind can tell apart. */
export const STYLE = markup`<style>
:root{color-scheme:light dark;--ink:#1b1b1b;--paper:#fff;--soft:#f2f2ef;--rule:#c4c4bf;--quiet:#555;--s1:#0060a8;--s2:#b34700;--s3:#1d7a4a;--s4:#8a3d96;--s5:#666;--bad:#b3261e;--ask:#8a5a00}
@media (prefers-color-scheme:dark){:root{--ink:#e8e8e4;--paper:#16181a;--soft:#22262a;--rule:#4a4f54;--quiet:#b0b0aa;--s1:#6cb6ff;--s2:#ff9d5c;--s3:#63d297;--s4:#dd9be8;--s5:#a8a8a8;--bad:#ff8a80;--ask:#ffc861}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:52rem;margin:0 auto;padding:1rem .75rem 3rem}
h1{text-wrap:balance;font-size:1.6rem;line-height:1.25;margin:.5rem 0 1rem}
h2{font-size:1.25rem;margin:2rem 0 .5rem;border-bottom:2px solid var(--rule)}
h3{font-size:1rem;margin:1.25rem 0 .25rem}
code{font:.875em ui-monospace,monospace}
small,.note,figcaption{color:var(--quiet);font-size:.875rem}
.source{color:var(--quiet);white-space:normal}
.about{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(12rem,100%),1fr));gap:.5rem 1rem;margin:0}
dt{color:var(--quiet);font-size:.8rem}
dd{margin:0}
ul,ol{padding-left:1.25rem;margin:.25rem 0}
li{margin:.35rem 0}
.note{padding-left:0;list-style:none;margin:.5rem 0}
.details{list-style:none;padding-left:.75rem;border-left:2px solid var(--rule);font-size:.9rem}
.details li{margin:.1rem 0}
.basis{font-size:.72rem;border:1px solid currentColor;border-radius:.6rem;padding:0 .4rem;white-space:nowrap;color:var(--s3)}
.basis.inferred{color:var(--s1);border-style:dashed}
.basis.not-known{color:var(--ask);border-style:dotted}
.blank{display:block;color:var(--quiet);font-size:.85rem;border-bottom:1px dotted var(--quiet);min-height:1.8rem;margin-top:.15rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0;font-size:.875rem}
th,td{text-align:left;vertical-align:top;padding:.25rem .4rem;border-bottom:1px solid var(--rule)}
th{color:var(--quiet);font-weight:600}
.stacked th{white-space:nowrap}
.data{table-layout:fixed;max-width:36rem;font-variant-numeric:tabular-nums;font-size:.8rem}
.whole{white-space:nowrap}
tr.first td{border-bottom:0}
tr.orphan td{background:var(--soft)}
tr.orphan strong{color:var(--bad)}
figure{margin:1rem 0}
svg{display:block;width:100%;max-width:36rem;height:auto;color:var(--ink)}
svg text{fill:currentColor;font:11px system-ui,sans-serif}
svg .middle{text-anchor:middle}
svg .end{text-anchor:end}
.grid,.tick{stroke:currentColor;stroke-opacity:.2;fill:none}
.mark{stroke:currentColor;stroke-opacity:.7;stroke-dasharray:3 3;fill:none}
svg .told{font-weight:600}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}
.s1{stroke:var(--s1)}.s2{stroke:var(--s2);stroke-dasharray:6 2}.s3{stroke:var(--s3);stroke-dasharray:2 2}.s4{stroke:var(--s4);stroke-dasharray:8 3 2 3}.s5{stroke:var(--s5)}
.bar{fill:var(--s1)}
.dot{fill:var(--s5)}.dot.sign{fill:var(--bad)}.dot.look{fill:var(--s1)}.dot.action{fill:var(--s2)}.dot.end{fill:var(--s3)}
.legend{list-style:none;padding:0;font-size:.8rem}
.legend li{display:inline-block;margin:0 1rem .2rem 0}
.key{display:inline-block;width:1.6rem;border-top:2px solid;margin-right:.4rem;vertical-align:middle}
.k1{border-color:var(--s1)}.k2{border-color:var(--s2);border-top-style:dashed}.k3{border-color:var(--s3);border-top-style:dotted}.k4{border-color:var(--s4);border-top-style:dashed}.k5{border-color:var(--s5)}
@media (max-width:40rem){
.stacked,.stacked tbody,.stacked tr,.stacked td{display:block}
.stacked thead{display:none}
.stacked tr{border-bottom:2px solid var(--rule);padding:.4rem 0}
.stacked .first{border:0;padding-bottom:0}
.stacked td[colspan]{padding-left:0}
.stacked td{border:0;padding:.1rem 0 .1rem 5rem;white-space:normal}
.stacked .whole{white-space:normal}
.stacked td::before{content:attr(data-label);float:left;margin-left:-5rem;color:var(--quiet)}
tr.orphan{background:var(--soft)}
}
@media print{
:root{--ink:#000;--paper:#fff;--soft:#eee;--rule:#999;--quiet:#333;--s1:#0060a8;--s2:#b34700;--s3:#1d7a4a;--s4:#8a3d96;--s5:#555;--bad:#b3261e;--ask:#6b4600;color-scheme:light}
body{font-size:10.5pt}
main{max-width:none;padding:0}
h2,h3{break-after:avoid}
figure,tr,li{break-inside:avoid}
svg{max-width:14cm}
}
</style>`;
