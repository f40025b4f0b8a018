// Beside the page, which stays alive: takes what `addTexture` takes, gives {share} while it works and {rgb} at the end.

import { addTexture } from "./holes.js";

self.addEventListener("message", ({ data: { rgb, mask, size, model } }) => {
  addTexture(rgb, mask, size, model, (share) => self.postMessage({ share }));
  self.postMessage({ rgb }, [rgb.buffer]);
});
