"use strict";(self.rspackChunkcodeintel_jupyter=self.rspackChunkcodeintel_jupyter||[]).push([[860],{25(e,o,t){var i=t(26),n=t.n(i),r=t(27),d=(t.n(r))()(n());d.push([e.id,`.codeintel {
  --codeintel-code: var(--jp-code-font-size, 12px) var(--jp-code-font-family, monospace);
  --codeintel-line: var(--jp-border-color1, #888);
  --codeintel-soft: var(--jp-layout-color2, #eee);
  --codeintel-grey: var(--jp-ui-font-color1, #3d4248);
  --codeintel-accent: var(--jp-brand-color1, #0b66d0);
  position: relative;
  font: var(--jp-ui-font-size1, 13px) / 1.4 var(--jp-ui-font-family, system-ui, sans-serif);
  color: var(--jp-ui-font-color0, #1f2328);
  background: var(--jp-layout-color1, #fff);
}
.codeintel *, .codeintel *::before { box-sizing: border-box; }
.codeintel [hidden] { display: none !important; }
.codeintel button, .codeintel input, .codeintel select { font: inherit; color: inherit; }
.codeintel button { background: var(--codeintel-soft); border: 1px solid var(--codeintel-line); border-radius: 3px; padding: 0 7px; cursor: pointer; }
.codeintel :is(button, input, select, [tabindex]):focus-visible { outline: 2px solid var(--codeintel-accent); outline-offset: -1px; }
.codeintel input, .codeintel select { background: var(--jp-layout-color0, #fff); border: 1px solid var(--codeintel-line); border-radius: 3px; padding: 1px 6px; min-width: 0; }
.codeintel .icon { flex: none; fill: none; stroke: currentColor; stroke-width: 1.3; stroke-linecap: round; stroke-linejoin: round; }
.codeintel .error { color: var(--jp-error-color0, #a40e26); }
.codeintel[data-theme='dark'] .error { color: #ff9d9d; }
.codeintel .error:empty, .codeintel .note:empty, .codeintel .offer:empty { display: none; }
.codeintel .amber { color: #8a4b00; }
.codeintel[data-theme='dark'] .amber { color: #ffb454; }
.codeintel mark, .codeintel .highlight mark[class] { background: #ffe08a; color: #1f2328; border-radius: 1px; }

.codeintel.panel { display: flex; flex-direction: column; border: 1px solid var(--codeintel-line); border-radius: 4px; height: 32rem; max-width: 64rem; overflow: hidden; }
.codeintel.panel.side { border: 0; border-radius: 0; height: 100%; max-width: none; }
.codeintel .top { flex: none; padding: 2px 6px; }
.codeintel .head { display: flex; align-items: center; gap: 1px; height: 24px; }
.codeintel .head h2 { flex: 1; margin: 0; font-size: 11px; font-weight: 600; letter-spacing: 0.04em; text-transform: uppercase; color: var(--codeintel-grey); white-space: nowrap; overflow: hidden; }
.codeintel .tool { display: inline-flex; align-items: center; justify-content: center; width: 22px; height: 22px; padding: 0; border-color: transparent; background: none; color: var(--codeintel-grey); }
.codeintel .tool:hover { background: var(--codeintel-soft); }
.codeintel .job { display: flex; flex-wrap: wrap; gap: 2px 6px; align-items: center; font-size: 12px; margin-bottom: 3px; }
.codeintel .job progress { flex: 1 0 100%; height: 4px; width: 100%; accent-color: var(--codeintel-accent); }
.codeintel .job .line { flex: 1; min-width: 0; overflow-wrap: break-word; }
.codeintel .box { display: flex; align-items: center; border: 1px solid var(--codeintel-line); border-radius: 3px; background: var(--jp-layout-color0, #fff); height: 26px; padding-right: 1px; }
.codeintel .box:focus-within { border-color: var(--codeintel-accent); box-shadow: 0 0 0 1px var(--codeintel-accent); }
.codeintel .box input, .codeintel .box input:focus-visible { flex: 1; border: 0; background: none; outline: 0; font: var(--codeintel-code); height: 100%; }
.codeintel .box input::-webkit-search-cancel-button { display: none; }
.codeintel .box .switch { border-color: transparent; background: none; padding: 0 3px; min-width: 20px; height: 20px; font-size: 11px; line-height: 1; }
.codeintel .box .switch[aria-pressed='true'] { background: var(--codeintel-soft); border-color: var(--codeintel-accent); font-weight: 600; }
.codeintel .box .switch:disabled { color: var(--jp-ui-font-color2, #666); opacity: 0.5; cursor: default; }
.codeintel .query > .error { font-size: 12px; padding: 2px 0; overflow-wrap: break-word; }
.codeintel .globs { display: grid; gap: 3px; margin-top: 3px; }
.codeintel .modes { display: flex; margin: 3px 0; border: 1px solid var(--codeintel-line); border-radius: 3px; overflow: hidden; height: 22px; }
.codeintel .modes button { flex: 1; min-width: 0; border: 0; border-radius: 0; border-right: 1px solid var(--codeintel-line); padding: 0 2px; font-size: 12px; background: none; line-height: 20px; }
.codeintel .modes button:last-child { border-right: 0; }
.codeintel .modes button[aria-checked='true'] { background: var(--codeintel-soft); font-weight: 600; box-shadow: inset 0 -2px 0 var(--codeintel-accent); }
.codeintel .chips { display: flex; flex-wrap: wrap; gap: 3px; font-size: 11.5px; max-height: 4.6rem; overflow-y: auto; }
.codeintel .list-of-chips { display: contents; }
.codeintel .chip { display: inline-flex; align-items: center; max-width: 100%; height: 20px; border: 1px solid var(--codeintel-line); border-radius: 10px; padding: 0 2px 0 7px; background: var(--codeintel-soft); }
.codeintel .chip.plain, .codeintel .chip.add { padding: 0 7px; }
.codeintel .chip.add { border-style: dashed; background: none; line-height: 1; }
.codeintel .chip .value { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; }
.codeintel .chip button { display: inline-flex; border: 0; background: none; padding: 0; margin-left: 1px; border-radius: 8px; }
.codeintel .chip button .icon { width: 14px; height: 14px; }
.codeintel .chips.amber .chip:not(.add) { border-color: #c77700; background: #fff3d6; color: #5c3200; }
.codeintel[data-theme='dark'] .chips.amber .chip:not(.add) { background: #4a3200; color: #ffdfa8; }
.codeintel .popover { border: 1px solid var(--codeintel-line); border-radius: 4px; padding: 6px; margin: 3px 0; display: grid; gap: 4px; font-size: 12px; max-height: 22rem; overflow: auto; background: var(--jp-layout-color1, #fff); box-shadow: 0 2px 8px #0003; }
.codeintel .popover .choices { display: flex; flex-wrap: wrap; gap: 3px; }
.codeintel .popover .title { color: var(--codeintel-grey); }
.codeintel .popover button[aria-pressed='true'] { border-color: var(--codeintel-accent); box-shadow: inset 0 0 0 1px var(--codeintel-accent); font-weight: 600; }
.codeintel .popover .field { display: grid; grid-template-columns: 4.5rem 1fr; gap: 4px; align-items: center; }
.codeintel .popover input, .codeintel .popover select { flex: 1 1 6rem; }
.codeintel .offer, .codeintel .note { font-size: 12px; padding: 2px 0; overflow-wrap: break-word; }
.codeintel .summary-line { display: flex; align-items: center; justify-content: space-between; min-height: 22px; font-size: 12px; color: var(--codeintel-grey); }
.codeintel .summary { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.codeintel .sends { flex: none; white-space: nowrap; }

.codeintel .list { flex: 1; min-height: 0; overflow: auto; overflow-x: hidden; position: relative; outline-offset: -2px; contain: strict; }
.codeintel .space { position: relative; width: 100%; }
.codeintel .row { position: absolute; left: 0; right: 0; display: flex; align-items: center; height: 21px; gap: 5px; padding: 0 4px; white-space: nowrap; overflow: hidden; cursor: pointer; }
.codeintel .row:hover { background: var(--codeintel-soft); }
.codeintel .row[aria-selected='true'] { background: #d8e6fa; box-shadow: inset 2px 0 0 var(--codeintel-accent); }
.codeintel[data-theme='dark'] .row[aria-selected='true'] { background: #24405f; }
.codeintel .row.file, .codeintel .sticky { font-size: 12.5px; background: var(--jp-layout-color1, #fff); }
.codeintel .row.file:hover { background: var(--codeintel-soft); }
.codeintel .sticky { position: sticky; top: 0; height: 21px; margin-bottom: -21px; z-index: 1; display: flex; align-items: center; gap: 5px; padding: 0 4px; white-space: nowrap; overflow: hidden; box-shadow: 0 1px 2px #0003; cursor: pointer; }
.codeintel .row .icon, .codeintel .sticky .icon { width: 14px; height: 14px; }
.codeintel .icon.notebook { color: #b34700; }
.codeintel .icon.code { color: #2f6690; }
.codeintel .icon.prose { color: #5b4b8a; }
.codeintel .icon.data { color: #2b6e44; }
.codeintel[data-theme='dark'] .icon.notebook { color: #ffa04d; }
.codeintel[data-theme='dark'] .icon.code { color: #8ac4f2; }
.codeintel[data-theme='dark'] .icon.prose { color: #c3b3f5; }
.codeintel[data-theme='dark'] .icon.data { color: #8fdcae; }
.codeintel .name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; flex: 0 2 auto; min-width: 3rem; unicode-bidi: isolate; }
.codeintel .folder { color: var(--codeintel-grey); font-size: 11px; overflow: hidden; text-overflow: ellipsis; flex: 1 1 3.5rem; min-width: 0; unicode-bidi: isolate; }
.codeintel .badge { flex: none; background: var(--codeintel-soft); border: 1px solid var(--codeintel-line); border-radius: 8px; font-size: 10.5px; line-height: 14px; padding: 0 6px; font-variant-numeric: tabular-nums; }
.codeintel .row.hit { padding-left: 6px; }
.codeintel .label { flex: none; width: 46px; text-align: right; font-size: 10.5px; color: var(--codeintel-grey); font-variant-numeric: tabular-nums; overflow: hidden; text-overflow: clip; }
.codeintel .label.prose { color: #8a4b00; }
.codeintel[data-theme='dark'] .label.prose { color: #ffb454; }
.codeintel .row .text { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; font: var(--codeintel-code); unicode-bidi: isolate; }
.codeintel .row .also { color: var(--codeintel-grey); font-weight: 600; }
.codeintel .row .text.prose { font: inherit; }
.codeintel .row .text b { font-weight: 600; }
.codeintel .row.more { justify-content: center; color: var(--codeintel-accent); }
.codeintel .dismiss { display: none; flex: none; padding: 0; border: 0; background: none; line-height: 0; }
.codeintel .row:hover > .dismiss { display: inline-flex; }
.codeintel .preview { left: 6px; right: 6px; border: 1px solid var(--codeintel-line); border-radius: 4px; background: var(--jp-layout-color0, #fff); box-shadow: 0 1px 4px #0003; padding: 4px 6px; max-height: 15rem; overflow: hidden; }
.codeintel .preview .where { display: flex; justify-content: space-between; gap: 8px; font-size: 11px; color: var(--codeintel-grey); border-bottom: 1px solid var(--codeintel-soft); margin-bottom: 3px; }
.codeintel .preview kbd { font: inherit; }
.codeintel .preview pre { margin: 0; font: var(--codeintel-code); line-height: 1.35; white-space: pre-wrap; overflow-wrap: break-word; background: none; color: inherit; padding: 0; }
.codeintel .preview pre.prose { font-family: inherit; }
.codeintel .empty { flex: 1; overflow: auto; padding: 4px 8px; display: flex; flex-direction: column; align-items: flex-start; gap: 3px; }
.codeintel .empty p { margin: 2px 0 6px; }
.codeintel .empty strong { margin-top: 6px; }
.codeintel .empty .primary { background: #1466b8; border-color: #1466b8; color: #fff; padding: 3px 10px; }
.codeintel .empty .entry { border: 0; background: none; padding: 1px 0; text-align: left; max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.codeintel .empty .entry::before { content: '› ' / ''; }
.codeintel .empty .entry small { color: var(--codeintel-grey); margin-left: 6px; }
.codeintel .menu { position: absolute; z-index: 10; display: grid; min-width: 11rem; padding: 3px 0; background: var(--jp-layout-color0, #fff); border: 1px solid var(--codeintel-line); border-radius: 4px; box-shadow: 0 3px 10px #0005; }
.codeintel .menu button { border: 0; border-radius: 0; background: none; text-align: left; padding: 3px 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 20rem; }
.codeintel .menu button:is(:hover, :focus) { background: var(--codeintel-soft); }
.codeintel .menu .separate { border-top: 1px solid var(--codeintel-soft); }

.codeintel.map { display: grid; gap: 4px; border: 1px solid var(--codeintel-line); border-radius: 6px; padding: 10px 12px; }
.codeintel.map canvas { width: 100%; display: block; cursor: crosshair; touch-action: none; }
.codeintel.map .map-head { display: flex; gap: 8px; align-items: center; justify-content: space-between; flex-wrap: wrap; }
.codeintel.map .map-head input { width: 16rem; max-width: 100%; }
.codeintel.map .map-canvas { position: relative; overflow: hidden; }
.codeintel.map .tooltip { position: absolute; z-index: 2; max-width: 26rem; pointer-events: none; background: var(--jp-layout-color0, #fff); border: 1px solid var(--codeintel-line); border-radius: 4px; padding: 3px 7px; box-shadow: 0 2px 8px #0004; font-size: 11.5px; overflow: hidden; }
.codeintel.map .tooltip pre { margin: 2px 0 0; min-height: 0; max-height: none; overflow: hidden; white-space: pre; text-overflow: ellipsis; }
.codeintel.map .legend { display: flex; flex-wrap: wrap; gap: 2px 12px; }
.codeintel.map .legend .key { display: inline-flex; gap: 4px; align-items: center; border-color: transparent; background: none; }
.codeintel.map .legend .key[aria-pressed='false'] { text-decoration: line-through; }
.codeintel .swatch { width: 10px; height: 10px; border-radius: 50%; border: 1px solid var(--codeintel-line); }
.codeintel[data-theme='dark'] .swatch.ink { background: #fff !important; }
.codeintel.map pre { margin: 4px 0 0; min-height: 12rem; max-height: 12rem; overflow: auto; background: none; font: var(--codeintel-code); }
.codeintel.map .picked:empty { display: none; }
.codeintel .title { overflow-wrap: break-word; }
.codeintel.map .title { border: 0; background: none; padding: 0; font-weight: 600; text-decoration: underline; text-align: left; }

.codeintel-SidePanel { min-width: 200px; background: var(--jp-layout-color1); overflow: hidden; }
.codeintel-Status button { font: inherit; color: inherit; background: none; border: 0; padding: 0 4px; height: 100%; cursor: pointer; white-space: nowrap; }
.codeintel-Status button.codeintel-amber { color: #8a4b00; }
[data-jp-theme-light='false'] .codeintel-Status button.codeintel-amber { color: #ffb454; }
.codeintel-Status button:focus-visible { outline: 2px solid var(--jp-brand-color1); outline-offset: -2px; }
.codeintel-Viewer { display: flex; flex-direction: column; overflow: hidden; }
.codeintel-Viewer > * { flex: 1; min-height: 0; height: 100%; }
.codeintel-Viewer-label { align-self: center; padding: 0 8px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.codeintel-Viewer-dialog { width: min(60rem, 80vw); height: 60vh; }
`,""]),t.d(o,{},{A:d})},28(e,o,t){var i=t(26),n=t.n(i),r=t(27),d=(t.n(r))()(n());d.push([e.id,`.codeintel-SidePanel { overflow: auto; min-width: 270px; background: var(--jp-layout-color1); }
.codeintel-SidePanel .codeintel { border: 0; border-radius: 0; max-width: none; }
.codeintel-SidePanel .codeintel .grid { grid-template-columns: 1fr; gap: 2px; }
.codeintel-SidePanel .codeintel .hit { grid-template-columns: 3.5rem 1fr; }
.codeintel-SidePanel .codeintel .results { max-height: none; }
.codeintel-SidePanel .codeintel .folder { grid-template-columns: 6rem 1fr 3.2rem; }
.codeintel-Status button { font: inherit; color: inherit; background: none; border: 0; padding: 0 4px; height: 100%; cursor: pointer; white-space: nowrap; }
.codeintel-Status button:focus-visible { outline: 2px solid var(--jp-brand-color1); outline-offset: -2px; }
`,""]),t.d(o,{},{A:d})},27(e){e.exports=function(e){var o=[];return o.toString=function(){return this.map(function(o){var t="",i=void 0!==o[5];return o[4]&&(t+="@supports (".concat(o[4],") {")),o[2]&&(t+="@media ".concat(o[2]," {")),i&&(t+="@layer".concat(o[5].length>0?" ".concat(o[5]):""," {")),t+=e(o),i&&(t+="}"),o[2]&&(t+="}"),o[4]&&(t+="}"),t}).join("")},o.i=function(e,t,i,n,r){"string"==typeof e&&(e=[[null,e,void 0]]);var d={};if(i)for(var l=0;l<this.length;l++){var a=this[l][0];null!=a&&(d[a]=!0)}for(var c=0;c<e.length;c++){var p=[].concat(e[c]);i&&d[p[0]]||(void 0!==r&&(void 0===p[5]||(p[1]="@layer".concat(p[5].length>0?" ".concat(p[5]):""," {").concat(p[1],"}")),p[5]=r),t&&(p[2]&&(p[1]="@media ".concat(p[2]," {").concat(p[1],"}")),p[2]=t),n&&(p[4]?(p[1]="@supports (".concat(p[4],") {").concat(p[1],"}"),p[4]=n):p[4]="".concat(n)),o.push(p))}},o}},26(e){e.exports=function(e){return e[1]}},19(e){var o=[];function t(e){for(var t=-1,i=0;i<o.length;i++)if(o[i].identifier===e){t=i;break}return t}function i(e,i){for(var n={},r=[],d=0;d<e.length;d++){var l=e[d],a=i.base?l[0]+i.base:l[0],c=n[a]||0,p="".concat(a," ").concat(c);n[a]=c+1;var s=t(p),f={css:l[1],media:l[2],sourceMap:l[3],supports:l[4],layer:l[5]};if(-1!==s)o[s].references++,o[s].updater(f);else{var x=function(e,o){var t=o.domAPI(o);return t.update(e),function(o){o?(o.css!==e.css||o.media!==e.media||o.sourceMap!==e.sourceMap||o.supports!==e.supports||o.layer!==e.layer)&&t.update(e=o):t.remove()}}(f,i);i.byIndex=d,o.splice(d,0,{identifier:p,updater:x,references:1})}r.push(p)}return r}e.exports=function(e,n){var r=i(e=e||[],n=n||{});return function(e){e=e||[];for(var d=0;d<r.length;d++){var l=t(r[d]);o[l].references--}for(var a=i(e,n),c=0;c<r.length;c++){var p=t(r[c]);0===o[p].references&&(o[p].updater(),o.splice(p,1))}r=a}}},21(e){var o={};e.exports=function(e,t){var i=function(e){if(void 0===o[e]){var t=document.querySelector(e);if(window.HTMLIFrameElement&&t instanceof window.HTMLIFrameElement)try{t=t.contentDocument.head}catch(e){t=null}o[e]=t}return o[e]}(e);if(!i)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");i.appendChild(t)}},23(e){e.exports=function(e){var o=document.createElement("style");return e.setAttributes(o,e.attributes),e.insert(o,e.options),o}},22(e,o,t){e.exports=function(e){var o=t.nc;o&&e.setAttribute("nonce",o)}},20(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var o=e.insertStyleElement(e);return{update:function(t){var i,n,r;i="",t.supports&&(i+="@supports (".concat(t.supports,") {")),t.media&&(i+="@media ".concat(t.media," {")),(n=void 0!==t.layer)&&(i+="@layer".concat(t.layer.length>0?" ".concat(t.layer):""," {")),i+=t.css,n&&(i+="}"),t.media&&(i+="}"),t.supports&&(i+="}"),(r=t.sourceMap)&&"u">typeof btoa&&(i+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(r))))," */")),e.styleTagTransform(i,o,e.options)},remove:function(){var e;null===(e=o).parentNode||e.parentNode.removeChild(e)}}}},24(e){e.exports=function(e,o){if(o.styleSheet)o.styleSheet.cssText=e;else{for(;o.firstChild;)o.removeChild(o.firstChild);o.appendChild(document.createTextNode(e))}}},18(e,o,t){var i=t(19),n=t.n(i),r=t(20),d=t.n(r),l=t(21),a=t.n(l),c=t(22),p=t.n(c),s=t(23),f=t.n(s),x=t(24),u=t.n(x),h=t(25),g={};g.styleTagTransform=u(),g.setAttributes=p(),g.insert=a().bind(null,"head"),g.domAPI=d(),g.insertStyleElement=f(),n()(h.A,g),h.A&&h.A.locals&&h.A.locals;var b=t(28),m={};m.styleTagTransform=u(),m.setAttributes=p(),m.insert=a().bind(null,"head"),m.domAPI=d(),m.insertStyleElement=f(),n()(b.A,m),b.A&&b.A.locals&&b.A.locals}}]);