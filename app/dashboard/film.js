/** Parses the service's screen stream: a multipart body in which each picture has its length. */

const HEAD_BYTES = 512;
const LENGTH = /^Content-Length: (\d+)\r\n\r\n/im;

/**
 * Yields the pictures, one after another. A caller that stops reading ends the stream.
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

/** Find the first picture, once its head has arrived. @param {Uint8Array} bytes */
function firstPart(bytes) {
  // In this encoding one byte is one character, also in the picture's data.
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
