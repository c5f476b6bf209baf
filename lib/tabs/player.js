// Plays the sentences of a text one after the other, as they come.
// gradio gives element, trigger, props, watch.
let run = null, next = 0, sound = null;
const given = () => props.value || {sounds: [], of: 0};
const tell = () => {  // the template is drawn anew after every answer
  element.querySelector('.now').textContent = sound ? `Sentence ${next} of ${given().of} is playing.` : '';
  element.querySelector('button').hidden = !sound;
};
const hush = () => { if (sound) sound.pause(); sound = null; next = Infinity; tell(); };
const play = () => {
  if (!sound && next < given().sounds.length) {
    sound = new Audio(given().sounds[next]); next += 1;
    sound.onended = () => { sound = null; play(); };
    sound.play().catch(hush);  // a browser that lets nothing play by itself: the result has its own button
  }
  tell();
};
// A quoted name of a prop here would become an event of the component in Python.
watch(Object.keys(props), () => {
  if (given().run !== run) { hush(); run = given().run; next = 0; }
  play();
});
element.addEventListener('click', (event) => event.target.closest('.stream button') && hush());
window.addEventListener('voice-atlas-stop', hush);
// One sound at a time.
document.addEventListener('click', (event) => event.target.closest('.result') && hush());
