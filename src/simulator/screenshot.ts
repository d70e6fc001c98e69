/**
 * A picture of a simulated screen as PNG: small, plain, in a colour that depends on the domain, dark while it is paused.
 */
import { crc32, deflateSync } from 'node:zlib';
import type { SimulatedDomain } from './domain.js';
import { Factor } from './domain.js';

const WIDTH = 320;
const HEIGHT = 200;
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const RGB = 2;

export function screenshotOf(domain: SimulatedDomain): Buffer {
  const light = domain.running ? 1 : 0.3;
  const colour = [Factor.cpu, Factor.net, Factor.disk].map((factor) =>
    Math.floor(((domain.factors[factor] ?? 0) % 1) * 255 * light),
  );
  const row = Buffer.alloc(1 + WIDTH * 3); // a filter byte, then the pixels
  for (let at = 0; at < WIDTH * 3; at++) row[at + 1] = colour[at % 3] ?? 0;
  return png(Buffer.concat(Array.from({ length: HEIGHT }, () => row)));
}

function png(pixels: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(HEIGHT, 4);
  header[8] = 8; // bits per channel
  header[9] = RGB;
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(pixels)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
