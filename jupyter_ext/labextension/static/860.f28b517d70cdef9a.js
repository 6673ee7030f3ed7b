"use strict";(self.rspackChunkcodeintel_jupyter=self.rspackChunkcodeintel_jupyter||[]).push([[860],{23(e,o,r){var t=r(24),n=r.n(t),i=r(25),a=(r.n(i))()(n());a.push([e.id,`.codeintel { font: var(--jp-ui-font-size1, 13px) / 1.45 var(--jp-ui-font-family, system-ui, sans-serif); color: var(--jp-ui-font-color1, #1f2328); background: var(--jp-layout-color1, #fff); border: 1px solid var(--jp-border-color1, #888); border-radius: 6px; padding: 10px 12px; max-width: 64rem; }
.codeintel * { box-sizing: border-box; }
.codeintel h3 { font-size: inherit; font-weight: 600; margin: 0; }
.codeintel .head { display: flex; gap: 8px 16px; flex-wrap: wrap; align-items: baseline; justify-content: space-between; }
.codeintel .counts { font-variant-numeric: tabular-nums; }
.codeintel .grid { display: grid; grid-template-columns: max-content 1fr; gap: 4px 12px; margin: 8px 0; }
.codeintel .grid > span { padding-top: 3px; }
.codeintel .grid > div { margin: 0; display: flex; flex-wrap: wrap; gap: 4px; align-items: center; }
.codeintel button { font: inherit; color: inherit; background: var(--jp-layout-color2, #eee); border: 1px solid var(--jp-border-color1, #888); border-radius: 4px; padding: 1px 8px; cursor: pointer; }
.codeintel button[aria-pressed="true"] { background: var(--jp-brand-color0, #0b3d91); border-color: var(--jp-brand-color0, #0b3d91); color: #fff; font-weight: 600; }
.codeintel[data-theme="dark"] button[aria-pressed="true"] { background: #8ab4f8; border-color: #8ab4f8; color: #10131a; }
.codeintel button[aria-pressed="true"]::before { content: "✓ "; }
.codeintel .chip { display: inline-flex; align-items: center; gap: 4px; border: 1px solid var(--jp-border-color1, #888); border-radius: 4px; padding: 1px 2px 1px 8px; font-family: var(--jp-code-font-family, monospace); }
.codeintel .chip button { border: 0; background: none; padding: 0 5px; }
.codeintel :is(button, input, select, [tabindex]):focus-visible { outline: 2px solid var(--jp-brand-color1, #0b66d0); outline-offset: 1px; }
.codeintel input { font: inherit; color: inherit; background: var(--jp-input-background, var(--jp-layout-color0, #fff)); border: 1px solid var(--jp-border-color1, #888); border-radius: 4px; padding: 2px 6px; min-width: 9rem; }
.codeintel select { font: inherit; color: inherit; background: var(--jp-layout-color0, #fff); border: 1px solid var(--jp-border-color1, #888); border-radius: 4px; padding: 1px 4px; }
.codeintel .offer:empty, .codeintel .chart:empty, .codeintel .picked:empty { display: none; }
.codeintel .offer { margin: 6px 0; }
.codeintel .chart { display: grid; gap: 2px; margin: 8px 0; }
.codeintel .folder { display: grid; grid-template-columns: minmax(5rem, 12rem) 1fr 4rem; gap: 8px; align-items: center; text-align: left; background: none; border-color: transparent; padding: 0 4px; }
.codeintel .folder .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; }
.codeintel .folder .count { text-align: right; font-variant-numeric: tabular-nums; }
.codeintel button.folder:hover { background: var(--jp-layout-color2, #eee); }
.codeintel .bar { display: flex; height: 12px; }
.codeintel .piece { display: inline-block; height: 12px; box-shadow: inset -1px 0 0 var(--jp-layout-color1, #fff); }
.codeintel .legend { display: flex; flex-wrap: wrap; gap: 2px 12px; }
.codeintel .key { display: inline-flex; gap: 4px; align-items: center; }
.codeintel .key .piece { width: 12px; }
.codeintel .hue0 { background: #3b6fb6; } .codeintel .hue1 { background: #d97706; } .codeintel .hue2 { background: #2f8f5b; } .codeintel .hue3 { background: #a64ca6; } .codeintel .hue4 { background: #8a7a00; } .codeintel .hue5 { background: #777; }
.codeintel.map { display: grid; gap: 4px; max-width: none; }
.codeintel.map canvas { width: 100%; display: block; cursor: crosshair; touch-action: none; }
.codeintel.map .legend .key { border-color: transparent; background: none; font-weight: inherit; color: inherit; }
.codeintel.map .legend .key[aria-pressed="true"]::before { content: none; }
.codeintel.map .legend .key[aria-pressed="false"] { text-decoration: line-through; }
.codeintel .swatch { width: 10px; height: 10px; border-radius: 50%; border: 1px solid var(--jp-border-color1, #888); }
.codeintel[data-theme="dark"] .swatch.ink { background: #fff !important; }
.codeintel.map pre { margin: 4px 0 0; min-height: 12rem; max-height: 12rem; overflow: auto; background: none; font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 13px); }
.codeintel .title { border: 0; background: none; padding: 0; font-weight: 600; text-decoration: underline; overflow-wrap: anywhere; text-align: left; }
.codeintel .indexing { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin-top: 8px; }
.codeintel .indexing progress { accent-color: var(--jp-brand-color1, #0b66d0); }
.codeintel .error { color: var(--jp-error-color0, #a40e26); }
.codeintel[data-theme="dark"] .error { color: #ff8f8f; }
.codeintel summary { cursor: pointer; margin-top: 8px; overflow-wrap: anywhere; unicode-bidi: isolate; }
.codeintel .search { display: flex; gap: 4px; flex-wrap: wrap; margin-top: 8px; }
.codeintel .search input { flex: 1 1 16rem; font-family: var(--jp-code-font-family, monospace); }
.codeintel .said { min-height: 1.45em; margin: 4px 0; }
.codeintel .said.error { color: var(--jp-error-color0, #a40e26); font-weight: 600; }
.codeintel[data-theme="dark"] .said.error { color: #ff8f8f; }
.codeintel .results { max-height: 28rem; overflow: auto; margin: 0; padding: 0; list-style: none; }
.codeintel .results:empty { display: none; }
.codeintel .file { font-weight: 600; margin-top: 6px; overflow-wrap: anywhere; unicode-bidi: isolate; }
.codeintel .hit { display: grid; grid-template-columns: 4.5rem 1fr; gap: 8px; padding: 1px 4px; border-radius: 4px; cursor: pointer; }
.codeintel .hit:hover { background: var(--jp-layout-color2, #eee); }
.codeintel .hit[aria-selected="true"] { background: var(--jp-layout-color2, #eee); box-shadow: inset 3px 0 0 var(--jp-brand-color1, #0b66d0); }
.codeintel .line { text-align: right; font-variant-numeric: tabular-nums; }
.codeintel .hit pre { margin: 0; font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 13px); white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; max-height: 12rem; overflow: hidden; background: none; color: inherit; padding: 0; }
.codeintel mark, .codeintel .highlight mark[class] { background: #ffe08a; color: #1f2328; box-shadow: inset 0 -2px 0 #8a6d00; }
.codeintel .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`,""]),r.d(o,{},{A:a})},26(e,o,r){var t=r(24),n=r.n(t),i=r(25),a=(r.n(i))()(n());a.push([e.id,`.codeintel-SidePanel { overflow: auto; min-width: 270px; background: var(--jp-layout-color1); }
.codeintel-SidePanel .codeintel { border: 0; border-radius: 0; max-width: none; }
.codeintel-SidePanel .codeintel .grid { grid-template-columns: 1fr; gap: 2px; }
.codeintel-SidePanel .codeintel .hit { grid-template-columns: 3.5rem 1fr; }
.codeintel-SidePanel .codeintel .results { max-height: none; }
.codeintel-SidePanel .codeintel .folder { grid-template-columns: 6rem 1fr 3.2rem; }
.codeintel-Status button { font: inherit; color: inherit; background: none; border: 0; padding: 0 4px; height: 100%; cursor: pointer; white-space: nowrap; }
.codeintel-Status button:focus-visible { outline: 2px solid var(--jp-brand-color1); outline-offset: -2px; }
`,""]),r.d(o,{},{A:a})},25(e){e.exports=function(e){var o=[];return o.toString=function(){return this.map(function(o){var r="",t=void 0!==o[5];return o[4]&&(r+="@supports (".concat(o[4],") {")),o[2]&&(r+="@media ".concat(o[2]," {")),t&&(r+="@layer".concat(o[5].length>0?" ".concat(o[5]):""," {")),r+=e(o),t&&(r+="}"),o[2]&&(r+="}"),o[4]&&(r+="}"),r}).join("")},o.i=function(e,r,t,n,i){"string"==typeof e&&(e=[[null,e,void 0]]);var a={};if(t)for(var d=0;d<this.length;d++){var l=this[d][0];null!=l&&(a[l]=!0)}for(var c=0;c<e.length;c++){var p=[].concat(e[c]);t&&a[p[0]]||(void 0!==i&&(void 0===p[5]||(p[1]="@layer".concat(p[5].length>0?" ".concat(p[5]):""," {").concat(p[1],"}")),p[5]=i),r&&(p[2]&&(p[1]="@media ".concat(p[2]," {").concat(p[1],"}")),p[2]=r),n&&(p[4]?(p[1]="@supports (".concat(p[4],") {").concat(p[1],"}"),p[4]=n):p[4]="".concat(n)),o.push(p))}},o}},24(e){e.exports=function(e){return e[1]}},17(e){var o=[];function r(e){for(var r=-1,t=0;t<o.length;t++)if(o[t].identifier===e){r=t;break}return r}function t(e,t){for(var n={},i=[],a=0;a<e.length;a++){var d=e[a],l=t.base?d[0]+t.base:d[0],c=n[l]||0,p="".concat(l," ").concat(c);n[l]=c+1;var s=r(p),u={css:d[1],media:d[2],sourceMap:d[3],supports:d[4],layer:d[5]};if(-1!==s)o[s].references++,o[s].updater(u);else{var f=function(e,o){var r=o.domAPI(o);return r.update(e),function(o){o?(o.css!==e.css||o.media!==e.media||o.sourceMap!==e.sourceMap||o.supports!==e.supports||o.layer!==e.layer)&&r.update(e=o):r.remove()}}(u,t);t.byIndex=a,o.splice(a,0,{identifier:p,updater:f,references:1})}i.push(p)}return i}e.exports=function(e,n){var i=t(e=e||[],n=n||{});return function(e){e=e||[];for(var a=0;a<i.length;a++){var d=r(i[a]);o[d].references--}for(var l=t(e,n),c=0;c<i.length;c++){var p=r(i[c]);0===o[p].references&&(o[p].updater(),o.splice(p,1))}i=l}}},19(e){var o={};e.exports=function(e,r){var t=function(e){if(void 0===o[e]){var r=document.querySelector(e);if(window.HTMLIFrameElement&&r instanceof window.HTMLIFrameElement)try{r=r.contentDocument.head}catch(e){r=null}o[e]=r}return o[e]}(e);if(!t)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");t.appendChild(r)}},21(e){e.exports=function(e){var o=document.createElement("style");return e.setAttributes(o,e.attributes),e.insert(o,e.options),o}},20(e,o,r){e.exports=function(e){var o=r.nc;o&&e.setAttribute("nonce",o)}},18(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var o=e.insertStyleElement(e);return{update:function(r){var t,n,i;t="",r.supports&&(t+="@supports (".concat(r.supports,") {")),r.media&&(t+="@media ".concat(r.media," {")),(n=void 0!==r.layer)&&(t+="@layer".concat(r.layer.length>0?" ".concat(r.layer):""," {")),t+=r.css,n&&(t+="}"),r.media&&(t+="}"),r.supports&&(t+="}"),(i=r.sourceMap)&&"u">typeof btoa&&(t+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(i))))," */")),e.styleTagTransform(t,o,e.options)},remove:function(){var e;null===(e=o).parentNode||e.parentNode.removeChild(e)}}}},22(e){e.exports=function(e,o){if(o.styleSheet)o.styleSheet.cssText=e;else{for(;o.firstChild;)o.removeChild(o.firstChild);o.appendChild(document.createTextNode(e))}}},16(e,o,r){var t=r(17),n=r.n(t),i=r(18),a=r.n(i),d=r(19),l=r.n(d),c=r(20),p=r.n(c),s=r(21),u=r.n(s),f=r(22),g=r.n(f),h=r(23),m={};m.styleTagTransform=g(),m.setAttributes=p(),m.insert=l().bind(null,"head"),m.domAPI=a(),m.insertStyleElement=u(),n()(h.A,m),h.A&&h.A.locals&&h.A.locals;var x=r(26),b={};b.styleTagTransform=g(),b.setAttributes=p(),b.insert=l().bind(null,"head"),b.domAPI=a(),b.insertStyleElement=u(),n()(x.A,b),x.A&&x.A.locals&&x.A.locals}}]);