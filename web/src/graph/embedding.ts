/** A workflow inside a PNG, as the server reads it: an iTXt chunk with the keyword `safelight`, compressed (W3C PNG, third edition). */

const SIGNATURE = 8;
const KEYWORD = "safelight";

/** The same image with `text` in it, before its first data chunk. */
export async function embedInPng(png: Blob, text: string): Promise<Blob> {
  const bytes = new Uint8Array(await png.arrayBuffer());
  const header = SIGNATURE + 12 + new DataView(bytes.buffer).getUint32(SIGNATURE);
  const packed = new Uint8Array(
    await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer(),
  );
  // Keyword, 0, compressed (1), method (0), then an empty language and an empty translated keyword, each ended by 0.
  const head = new TextEncoder().encode(`iTXt${KEYWORD}\0\u0001\0\0\0`);
  const chunk = new Uint8Array(4 + head.length + packed.length + 4);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, head.length - 4 + packed.length);
  chunk.set(head, 4);
  chunk.set(packed, 4 + head.length);
  view.setUint32(chunk.length - 4, crc32(chunk.subarray(4, chunk.length - 4)));
  return new Blob([bytes.subarray(0, header), chunk, bytes.subarray(header)], { type: "image/png" });
}

/** CRC-32 of ISO 3309, as PNG chunks end with it. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
