// Beside the page, which stays alive: takes {stage, args}, one of stages.js with its arguments, the photo first; gives
// {share} while it works and {photo, result} at the end.

import { finish, prepare } from "./stages.js";

self.addEventListener("message", ({ data: { stage, args } }) => {
  const [photo] = args;
  const result = { prepare, finish }[stage](...args, (share) => self.postMessage({ share }));
  self.postMessage({ photo, result }, [photo.rgb.buffer, photo.mask.buffer]);
});
