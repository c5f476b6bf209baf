// Arrow keys among tabs and among radio buttons, whom gradio gives no common name.
// gradio gives element, trigger, props, watch.
const groups = {tab: '[role=tablist]', radio: 'fieldset, .block'};
document.addEventListener('keydown', (event) => {
  const from = event.target, step = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1}[event.key];
  const kind = from.type === 'radio' ? 'radio' : from.getAttribute?.('role');
  const group = step && groups[kind] && from.closest(groups[kind]);
  if (!group) return;
  const wanted = kind === 'radio' ? 'input[type=radio]' : '[role=tab]';
  const all = [...group.querySelectorAll(wanted)].filter((one) => one.offsetParent);
  const to = all[(all.indexOf(from) + step + all.length) % all.length];
  event.preventDefault();
  to.click();
  to.focus();
});
