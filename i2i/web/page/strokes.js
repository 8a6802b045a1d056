// Lines that follow a pointer.

// Where a pointer went since the last event, in pixels of a canvas.
export function points(event, canvas) {
  const box = canvas.getBoundingClientRect();
  const events = event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event];
  return events.map(({ clientX, clientY }) => [
    ((clientX - box.left) / box.width) * canvas.width,
    ((clientY - box.top) / box.height) * canvas.height,
  ]);
}

// Red, green and blue from 0 to 255 of a colour such as #d03030.
export const levels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

// A line through points, rounded at each: quadratic curves from middle to middle.
export function smoothLine(paint, through) {
  const [first] = through, last = through.at(-1);
  paint.beginPath();
  paint.moveTo(...first);
  for (let n = 1; n < through.length - 1; n += 1) {
    const [x, y] = through[n], [nextX, nextY] = through[n + 1];
    paint.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  }
  paint.lineTo(...last);
  paint.stroke();
}
