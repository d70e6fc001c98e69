/**
 * Branded identifiers. A string becomes a VmId only here, so code that holds one need not check it again.
 */

declare const vmIdBrand: unique symbol;

/** A domain's UUID in canonical form: 36 characters, lower case. VDSM's `vmId`, libvirt's `uuid`. */
export type VmId = string & { readonly [vmIdBrand]: true };

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const BARE_UUID = /^[0-9a-f]{32}$/;

/** Accepts a UUID in any case, with or without hyphens (as libvirt does); undefined for anything else. */
export function parseVmId(text: unknown): VmId | undefined {
  if (typeof text !== 'string') return undefined;
  const lower = text.trim().toLowerCase();
  if (UUID.test(lower)) return lower as VmId;
  if (!BARE_UUID.test(lower)) return undefined;
  return [8, 12, 16, 20].reduceRight((id, at) => `${id.slice(0, at)}-${id.slice(at)}`, lower) as VmId;
}

/** The id of 16 raw bytes, as libvirt's wire carries a UUID. */
export function vmIdFromBytes(bytes: Uint8Array): VmId {
  if (bytes.length !== 16) throw new RangeError(`a UUID has 16 bytes, not ${bytes.length}`);
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as VmId;
}

const HYPHEN = 0x2d;

/**
 * The 16 raw bytes of an id. Digit by digit, since it makes no garbage: thousands of ids are sent every cycle.
 *
 * @param into where they are to stand
 */
export function vmIdToBytes(id: VmId, into = new Uint8Array(16)): Uint8Array {
  let at = 0;
  for (let index = 0; index < 16; index++) {
    if (id.charCodeAt(at) === HYPHEN) at++;
    into[index] = (hexDigit(id.charCodeAt(at)) << 4) | hexDigit(id.charCodeAt(at + 1));
    at += 2;
  }
  return into;
}

/** Of '0'-'9' and 'a'-'f'. */
function hexDigit(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
