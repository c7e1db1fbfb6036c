/**
 * Screenshots of steps. A step is announced while its picture is still being written, so a missing
 * picture is requested again, a few times, before it counts as not stored.
 */

const RETRY_MS = [100, 200, 400, 800, 1_600];

/** @type {Map<string, Promise<HTMLImageElement>>} */
const pictures = new Map();

/**
 * Load and decode the picture at a URL; rejects if there is none.
 * @param {string} url
 * @returns {Promise<HTMLImageElement>} shared; its `src` can be shown without waiting
 */
export function loadPicture(url) {
  let picture = pictures.get(url);
  if (!picture) {
    picture = fetchPicture(url);
    pictures.set(url, picture);
    picture.catch(() => pictures.delete(url));
  }
  return picture;
}

/** @param {string} url */
async function fetchPicture(url) {
  for (const pause of [...RETRY_MS, null]) {
    const image = new Image();
    image.src = url;
    try {
      await image.decode();
      return image;
    } catch (error) {
      if (pause === null) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  throw new Error('unreachable');
}
