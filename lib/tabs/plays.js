// Buttons that play one sound each, and tell nothing of it: no waveform, no time, no name.
// gradio gives element, props, watch.
let sound = null, at = -1;
const buttons = () => [...element.querySelectorAll('.plays button')];
const show = () => buttons().forEach((button, i) => button.setAttribute('aria-pressed', i === at));
const hush = () => { if (sound) sound.pause(); sound = null; at = -1; show(); };
element.addEventListener('click', (event) => {
  const button = event.target.closest('.plays button');
  if (!button) return;
  const number = buttons().indexOf(button), again = number === at;
  window.dispatchEvent(new Event('voice-atlas-stop'));  // one sound at a time, on the whole page
  if (again) return;
  sound = new Audio(props.value[number].sound); at = number; show();
  sound.onended = hush;
  sound.play().catch(hush);
});
window.addEventListener('voice-atlas-stop', hush);
// A quoted name of a prop here would become an event of the component in Python.
watch(Object.keys(props), hush);
