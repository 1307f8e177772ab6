"""The style sheet of a report: screen and paper."""

STYLE = """
:root{--ink:#1f2933;--soft:#616e7c;--line:#e4e7eb;--good:#3d7a4b;--bad:#b3261e;--warn:#b58105}
*{box-sizing:border-box}
body{margin:0;background:#f5f6f8;color:var(--ink);font:15px/1.5 Inter,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
main{max-width:1000px;margin:0 auto;padding:32px 40px 64px;background:#fff}
h1{margin:0;font-size:27px;line-height:1.25}h2{margin:36px 0 8px;font-size:18px}
.summary{margin:6px 0 14px;color:var(--soft);max-width:75ch}
.verdict{margin:0;padding:10px 16px;border-left:5px solid var(--soft);background:#f5f6f8}
.verdict.pass{border-color:var(--good);background:#eef5ef}.verdict.fail{border-color:var(--bad);background:#fbeeed}
.verdict.pass strong{color:var(--good)}.verdict.fail strong{color:var(--bad)}
.cards{display:flex;flex-wrap:wrap;gap:10px;margin:18px 0 8px}
.card{flex:1 1 150px;padding:10px 14px;border:1px solid var(--line);border-radius:6px}
.card .value{display:block;font-size:19px;font-weight:600}.card .label{color:var(--soft);font-size:12.5px}
figure{margin:18px 0 0;break-inside:avoid}
figcaption{font-weight:600;margin-bottom:-16px}
figcaption small{font-weight:400;color:var(--soft)}
figure svg{width:100%;height:auto;display:block}
.key{margin:16px 0 0;color:var(--soft);font-size:13px}
.key i{display:inline-block;width:22px;margin:0 5px 3px 12px;border-top:2px dashed var(--bad)}
.key i:first-child{margin-left:0}.key i.board{border-top:2px solid var(--warn)}
table{width:100%;border-collapse:collapse;font-size:13.5px}
th,td{padding:4px 10px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600}.number{text-align:right;font-variant-numeric:tabular-nums}
.mark{width:64px;font-weight:600}.ok .mark{color:var(--good)}.bad .mark{color:var(--bad)}.bad td{background:#fbeeed}
.events .rig td{color:#1d4e89}.events .fault_applied td{color:var(--bad)}.events td:nth-child(3),th{white-space:nowrap}
.events .host td{color:var(--soft)}
.meta th{width:220px}code{font:12.5px/1.4 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
@media print{body{background:#fff;font-size:12px}main{max-width:none;padding:0}h2{break-after:avoid}
tr{break-inside:avoid}
.verdict,.bad td{-webkit-print-color-adjust:exact;print-color-adjust:exact}@page{margin:16mm}}
"""
