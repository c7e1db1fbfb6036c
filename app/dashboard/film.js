/** A film as the service sends it: a multipart body in which each picture comes with its length. */

const HEAD_BYTES = 512;
const LENGTH = /^Content-Length: (\d+)\r\n\r\n/im;

/**
 * Its pictures, one after another. Whoever stops reading ends the film.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<Blob>}
 */
export async function* pictures(body) {
  const reader = body.getReader();
  let bytes = new Uint8Array();
  try {
    for (;;) {
      const part = firstPart(bytes);
      if (part && part.end <= bytes.length) {
        yield new Blob([bytes.slice(part.start, part.end)], { type: 'image/jpeg' });
        bytes = bytes.subarray(part.end);
        continue;
      }
      const { done, value } = await reader.read();
      if (done) return;
      bytes = joined(bytes, value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Where the first picture lies, once its head is there. @param {Uint8Array} bytes */
function firstPart(bytes) {
  // One byte is one character in this encoding, also where the picture begins.
  const head = LENGTH.exec(new TextDecoder('latin1').decode(bytes.subarray(0, HEAD_BYTES)));
  if (!head) return null;
  const start = head.index + head[0].length;
  return { start, end: start + Number(head[1]) };
}

/** @param {Uint8Array} before @param {Uint8Array} after */
function joined(before, after) {
  const both = new Uint8Array(before.length + after.length);
  both.set(before);
  both.set(after, before.length);
  return both;
}
