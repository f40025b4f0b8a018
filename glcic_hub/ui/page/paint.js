// What is painted: drawn on the screen, and made into the mask that is sent. Steps are those of history.js.

import { contextOf, forEachStrip, pngOf, reductionOf } from "./pixels.js";

const COLOUR = "#ff2d87";

/** Draw steps on a context whose unit is a pixel of the photo; nothing outside the photo is touched. */
export function drawPaint(context, steps, size) {
  onPhoto(context, size, () => steps.forEach((step) => drawStep(context, step, size)));
}

/** Draw what came to a stroke since it had `from` points, on top of what is drawn. */
export function extendStroke(context, stroke, from, size) {
  onPhoto(context, size, () => drawStroke(context, stroke, Math.max(0, from - 1)));
}

function onPhoto(context, { width, height }, draw) {
  context.save();
  context.beginPath();
  context.rect(0, 0, width, height);
  context.clip();
  context.fillStyle = context.strokeStyle = COLOUR;
  draw();
  context.restore();
}

function drawStep(context, step, { width, height }) {
  if (step.kind === "stroke") {
    drawStroke(context, step);
  } else if (step.kind === "mask") {
    context.globalCompositeOperation = "source-over";
    context.drawImage(step.tinted, 0, 0, width, height);
  } else if (step.kind === "invert") {
    context.globalCompositeOperation = "source-out"; // paint where there is none, none where there is paint
    context.fillRect(0, 0, width, height);
  }
}

/** Draw a stroke, or the part of it from point number `from` on. */
function drawStroke(context, { erase, radius, points }, from = 0) {
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  context.lineWidth = 2 * radius;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  if (points.length - from === 1) {
    context.arc(...points[from], radius, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.moveTo(...points[from]);
  for (const point of points.slice(from + 1)) context.lineTo(...point);
  context.stroke();
}

/** The image of a mask step in the colour of paint. */
export function tinted(image) {
  const context = contextOf(image.width, image.height);
  context.drawImage(image, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = COLOUR;
  context.fillRect(0, 0, image.width, image.height);
  return context.canvas;
}

/** Whether there may be paint: not if all there was is an eraser. */
export function hasPaint(steps) {
  return steps.some(({ erase }) => !erase);
}

/** A box around all paint, [left, top, right, bottom] in whole pixels of the photo; null if there is none. */
function boundsOf(steps, { width, height }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (const step of steps) {
    if (step.erase) continue;
    if (step.kind !== "stroke") return [0, 0, width, height];
    for (const [x, y] of step.points) {
      [left, top] = [Math.min(left, x - step.radius), Math.min(top, y - step.radius)];
      [right, bottom] = [Math.max(right, x + step.radius), Math.max(bottom, y + step.radius)];
    }
  }
  [left, top] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
  [right, bottom] = [Math.min(width, Math.ceil(right)), Math.min(height, Math.ceil(bottom))];
  return left < right && top < bottom ? [left, top, right, bottom] : null;
}

/**
 * The mask of what is painted: { mask: PNG Blob, white = fill; box: [left, top, width, height], pixels of the photo }.
 * It has one pixel for each of the photo's, or for each square of them if it would be too large. Null without paint.
 */
export async function maskOf(steps, size) {
  const bounds = boundsOf(steps, size);
  if (!bounds) return null;
  const [left, top, right, bottom] = bounds;
  const factor = reductionOf(right - left, bottom - top);
  const context = contextOf(Math.ceil((right - left) / factor), Math.ceil((bottom - top) / factor), true);
  context.setTransform(1 / factor, 0, 0, 1 / factor, -left / factor, -top / factor);
  context.imageSmoothingEnabled = false;
  drawPaint(context, steps, size);
  const painted = thresholded(context);
  if (!painted) return null;
  const [x, y, columns, rows] = painted;
  const cropped = contextOf(columns, rows, true);
  cropped.drawImage(context.canvas, -x, -y);
  const box = [left + x * factor, top + y * factor];
  box.push(Math.min(columns * factor, size.width - box[0]), Math.min(rows * factor, size.height - box[1]));
  return { mask: await pngOf(cropped), box };
}

/** Make the painted pixels white and the others black, all opaque; the box [left, top, width, height] of the white. */
function thresholded(context) {
  const { width } = context.canvas;
  let [left, top, right, bottom] = [width, Infinity, -1, -1];
  forEachStrip(
    context,
    (data, firstRow) => {
      for (let at = 0, x = 0, y = firstRow; at < data.length; at += 4) {
        const isPainted = data[at + 3] >= 128;
        data[at] = data[at + 1] = data[at + 2] = isPainted ? 255 : 0;
        data[at + 3] = 255;
        if (isPainted) {
          if (x < left) left = x;
          if (x > right) right = x;
          if (y < top) top = y;
          bottom = y;
        }
        if (++x === width) [x, y] = [0, y + 1];
      }
    },
    true,
  );
  return bottom < 0 ? null : [left, top, right - left + 1, bottom - top + 1];
}
