/** The part of a graph that is in view: where its origin is, and how large it is. */

import type { Box } from "./layout";

export interface Camera {
  x: number;
  y: number;
  scale: number;
}

interface Size {
  width: number;
  height: number;
}

/** Below this, names could not be read. */
export const READABLE = 0.5;
const SMALLEST = 0.05;
const LARGEST = 2;
const ROOMY = 1.6; // of a small graph in much room
const AIR = 12; // between a place and the edge of the view

/** All of it, in the middle. */
export function fit(content: Size, view: Size): Camera {
  const most = Math.min(view.width / content.width, view.height / content.height);
  const scale = Math.max(SMALLEST, Math.min(ROOMY, most));
  return {
    scale,
    x: (view.width - content.width * scale) / 2,
    y: Math.max(0, (view.height - content.height * scale) / 2),
  };
}

/** All of it where that can be read, else a readable part around a place. */
export function home(content: Size, view: Size, around: Box | undefined): Camera {
  const all = fit(content, view);
  if (all.scale >= READABLE) return all;
  const scale = Math.min(1, Math.max(READABLE, view.width / content.width));
  const middle = { x: content.width / 2, y: 0, width: 0, height: 0, ...around };
  const x = view.width / 2 - (middle.x + middle.width / 2) * scale;
  const y = view.height / 2 - (middle.y + middle.height / 2) * scale;
  return within({ x, y, scale }, content, view);
}

/** A block where it was in the view, to unfold or fold it in its place. */
export interface Anchor {
  block: string;
  x: number;
  y: number;
  scale: number;
}

/** Puts the corner of a box where the anchor says. */
export function anchored({ x, y, scale }: Anchor, box: Box): Camera {
  return { scale, x: x - box.x * scale, y: y - box.y * scale };
}

/** Zooms about a point of the view, which stays where it is. */
export function zoom(camera: Camera, by: number, at: { x: number; y: number }): Camera {
  const scale = Math.max(SMALLEST, Math.min(LARGEST, camera.scale * by));
  const ratio = scale / camera.scale;
  return { scale, x: at.x - (at.x - camera.x) * ratio, y: at.y - (at.y - camera.y) * ratio };
}

/** Nothing can be lost: what is larger than the view fills it, what is smaller lies in it. */
export function within(camera: Camera, content: Size, view: Size): Camera {
  const kept = (at: number, size: number, room: number) =>
    Math.max(Math.min(0, room - size), Math.min(Math.max(0, room - size), at));
  return {
    scale: camera.scale,
    x: kept(camera.x, content.width * camera.scale, view.width),
    y: kept(camera.y, content.height * camera.scale, view.height),
  };
}

/** Moves no further than it takes to see a place. */
export function reveal(camera: Camera, box: Box, view: Size): Camera {
  const moved = (at: number, from: number, size: number, room: number) => {
    const near = at + from * camera.scale;
    const far = near + size * camera.scale;
    if (near < AIR) return at + AIR - near;
    return far > room - AIR ? at - Math.min(far - (room - AIR), near - AIR) : at;
  };
  return {
    scale: camera.scale,
    x: moved(camera.x, box.x, box.width, view.width),
    y: moved(camera.y, box.y, box.height, view.height),
  };
}
