// The map of the tab Atlas: nearest-dot picking for mouse and thumb, arrow keys and Enter.
// gradio gives element, trigger, props, watch.
let at = -1, chosen = -1;  // where the ring is, and whose voice was asked for last
const place = (dot, i) => ({dot, i, x: +dot.getAttribute('x'), y: +dot.getAttribute('y')});
const points = () => [...element.querySelectorAll('.point')].map(place);
const best = (cost) => points().map((p) => [cost(p), p.i]).sort((a, b) => a[0] - b[0])[0];
const ring = () => {  // the picture is drawn anew after every answer: this puts the ring back
  const point = points()[at], circle = element.querySelector('.ring');
  if (!point) return;
  circle.setAttribute('cx', point.x); circle.setAttribute('cy', point.y); circle.style.visibility = 'visible';
  element.querySelector('svg.map').setAttribute('aria-activedescendant', point.dot.id);
  for (const p of points()) p.dot.setAttribute('aria-selected', String(p.i === chosen));
  element.querySelector('.near').textContent = point.dot.textContent;
};
const choose = () => { chosen = at; ring(); trigger('select', {index: at}); };
const nearest = (event) => {  // thumbs are wider than dots: the nearest within 44 px counts
  if (!event.target.closest('svg.map')) return false;
  const matrix = element.querySelector('svg.map').getScreenCTM();
  const where = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  const [distance, i] = best((p) => Math.hypot(p.x - where.x, p.y - where.y));
  if (distance * matrix.a < 44) { at = i; ring(); return true; }
};
element.addEventListener('mousemove', nearest);
element.addEventListener('click', (event) => nearest(event) && choose());
element.addEventListener('keydown', (event) => {
  const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  const step = steps[event.key], from = points()[Math.max(at, 0)];
  if (!event.target.closest('svg.map') || !(step || event.key === 'Enter' || event.key === ' ')) return;
  event.preventDefault();
  if (!step && at >= 0) return choose();
  const [cost, i] = at < 0 || !step ? [0, 0] : best((p) => {
    const x = p.x - from.x, y = p.y - from.y, along = x * step[0] + y * step[1];
    return along > 0 ? along + 2 * Math.abs(x * step[1] + y * step[0]) : Infinity; });
  if (cost < Infinity) { at = i; ring(); }
});
let seen = props.shown;
watch(Object.keys(props), () => {
  ring();
  if (props.shown && props.shown !== seen) {  // a new voice: look
    seen = props.shown;
    element.scrollIntoView({block: 'center', behavior: 'smooth'});
  }
});  // a quoted name of a prop here would become an event of the component in Python
