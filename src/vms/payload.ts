/**
 * Payloads: files that came base64-coded in oVirt's metadata, for a CD-ROM or floppy drive of the domain. Pure.
 *
 * Nothing said here quotes content. A path is checked to stay below the image's root, so that who builds the image may
 * use it as a file's path.
 */
import type { VmId } from '../domain/ids.js';
import type { Payload, PayloadFile } from '../domain/launch-files.js';
import type { XmlNodeElement } from '../util/xml-edit.js';

const formats: ReadonlyMap<string | undefined, Payload['format']> = new Map([
  ['cdrom', 'iso'],
  ['floppy', 'floppy'],
]);
const MAX_FILES = 1000;
/** A 1.44 MB disk's clusters. */
const FLOPPY_BYTES = 2847 * 512;
/** Characters that a volume label may have. */
const labelLengths: Readonly<Record<Payload['format'], number>> = { iso: 32, floppy: 11 };
const MAX_PATH_BYTES = 240;
/** It becomes part of a file's name. */
const TARGET = /^[A-Za-z0-9_-]{1,32}$/;

/** A payload and the drive that it is for. */
export interface PlacedPayload {
  readonly payload: Payload;
  readonly disk: XmlNodeElement;
}

/**
 * @param vm oVirt's `vm` element
 * @param disks the domain's `<disk>` elements
 * @throws Error with one sentence
 */
export function payloadsOf(
  vmId: VmId,
  vm: XmlNodeElement,
  disks: readonly XmlNodeElement[],
): readonly PlacedPayload[] {
  const placed = new Map<string, PlacedPayload>();
  for (const device of vm.children().filter(({ localName }) => localName === 'device')) {
    const [element] = childrenOf(device, 'payload');
    if (!element) continue;
    const target = device.attribute('name') ?? '';
    const disk = disks.find((each) => each.child('target')?.attribute('dev') === target);
    if (!disk || !TARGET.test(target))
      throw new Error(`the metadata has a payload for disk '${target}', which the domain does not have`);
    if (placed.has(target)) throw new Error(`the metadata has two payloads for disk '${target}'`);
    const format = formats.get(disk.attribute('device'));
    if (!format)
      throw new Error(`disk '${target}' has a payload, but is neither a CD-ROM nor a floppy drive`);
    placed.set(target, { disk, payload: payloadOf(element, { vmId, target, format }) });
  }
  return [...placed.values()];
}

function payloadOf(element: XmlNodeElement, head: Omit<Payload, 'files' | 'volumeId'>): Payload {
  const { target, format } = head;
  const volumeId = childrenOf(element, 'volId')[0]?.text.trim() ?? '';
  if (volumeId.length > labelLengths[format] || !/^[\x20-\x7E]*$/.test(volumeId)) {
    throw new Error(
      `the volume label of the payload of disk '${target}' is not of ${labelLengths[format]} printable characters at most`,
    );
  }
  const files = childrenOf(element, 'file').map(fileOf);
  const fault = faultOf(files, format);
  if (fault !== undefined) throw new Error(`the payload of disk '${target}' cannot be used: ${fault}`);
  return { ...head, ...(volumeId !== '' && { volumeId }), files };
}

function fileOf(element: XmlNodeElement): PayloadFile {
  const path = checkedPath(element.attribute('path') ?? '');
  const content = decodeBase64(element.text);
  if (!content) throw new Error(`the content of payload file '${path}' is not base64`);
  return { path, content };
}

/** Leading slashes are of the image's root. */
function checkedPath(text: string): string {
  const path = text.replace(/^\/+/, '');
  const parts = path.split('/');
  const isUsable =
    parts.every((part) => part !== '' && part !== '.' && part !== '..') &&
    // eslint-disable-next-line no-control-regex -- these are what it looks for
    !/[\u{0}-\u{1F}\u{7F}]/u.test(path) &&
    Buffer.byteLength(path) <= MAX_PATH_BYTES;
  if (!isUsable) throw new Error(`'${text.slice(0, MAX_PATH_BYTES)}' is no path for a payload file`);
  return path;
}

/** Undefined for what is no base64; white space is allowed, as line ends of encoders are. */
export function decodeBase64(text: string): Buffer | undefined {
  const packed = text.replace(/\s+/g, '');
  if (packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(packed)) return undefined;
  return Buffer.from(packed, 'base64');
}

function faultOf(files: readonly PayloadFile[], format: Payload['format']): string | undefined {
  if (files.length > MAX_FILES) return `it has more than ${MAX_FILES} files`;
  const paths = new Set<string>();
  for (const { path } of files) {
    if (paths.has(path)) return `it has two files '${path}'`;
    paths.add(path);
  }
  for (const path of paths) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end);
      if (paths.has(folder)) return `'${folder}' is a file and a folder`;
    }
  }
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  return format === 'floppy' && bytes > FLOPPY_BYTES
    ? `its ${bytes} bytes do not fit on a floppy disk`
    : undefined;
}

function childrenOf(element: XmlNodeElement, localName: string): XmlNodeElement[] {
  return element.children().filter((each) => each.localName === localName);
}
