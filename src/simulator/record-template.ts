/**
 * Bulk statistics records by the thousand: per set of fields one template with every name, type and count
 * already encoded. A record is the template's numbers patched in place, its parts copied out, the domain's
 * own strings in between.
 *
 * Templates are shared by all domains of one shape, so many domains cost no memory here. Not reentrant: a
 * template is scratch space between patching and copying, which is fine as nothing awaits in between.
 */
import { dom } from '../libvirt/objects.js';
import { typedParam } from '../libvirt/typed-params.js';
import type { TypedParam } from '../libvirt/typed-params.js';
import { HEADER_BYTES } from '../libvirt/wire.js';
import { MAX_STRING_BYTES } from '../libvirt/xdr-codecs.js';
import { XdrWriter } from '../libvirt/xdr.js';
import type { SimulatedDomain } from './domain.js';
import type { StatsField } from './stats-field.js';

const TWO_32 = 0x1_0000_0000;
/** Encoded name, type and number take less: names have at most 79 bytes. */
const FIELD_BYTES = 96;
/** An estimate for a domain's name, or a path. */
const TEXT_BYTES = 256;
const WIDE = new Set(['llong', 'ullong']);

/**
 * A run of encoded fields up to a string, which follows it, or to the end. A device's counters come after its name, so
 * that a part has those of one device at most.
 */
interface Part {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly offsets: Int32Array;
  readonly perSec: Float64Array;
  readonly factors: Uint8Array;
  readonly sinceSec: ((domain: SimulatedDomain) => number) | undefined;
  readonly gauges: readonly Gauge[];
  readonly text: ((domain: SimulatedDomain) => string) | undefined;
}

interface Gauge {
  readonly offset: number;
  readonly wide: boolean;
  readonly read: (domain: SimulatedDomain) => number;
}

export class RecordTemplate {
  readonly #parts: readonly Part[];
  readonly #count: number;
  /** What a record takes, roughly. */
  readonly expectedBytes: number;

  constructor(fields: readonly StatsField[]) {
    this.#count = fields.length;
    this.#parts = makeParts(fields);
    this.expectedBytes = this.#parts.reduce((sum, { bytes }) => sum + bytes.length + TEXT_BYTES, TEXT_BYTES);
  }

  /** Appends the domain's record: handle, count, typed parameters. */
  write(writer: XdrWriter, domain: SimulatedDomain): void {
    dom.write(writer, domain);
    writer.u32(this.#count);
    const activeSec = domain.activeSec;
    for (const part of this.#parts) {
      patchCounters(part, domain.factors, activeSec - (part.sinceSec?.(domain) ?? 0));
      for (const gauge of part.gauges) patchGauge(part.view, gauge, domain);
      writer.fixed(part.bytes);
      if (part.text) writer.string(part.text(domain), MAX_STRING_BYTES);
    }
  }
}

function patchCounters(part: Part, domainFactors: Float64Array, activeSec: number): void {
  const { view, offsets, perSec, factors } = part;
  for (let i = 0; i < offsets.length; i++) {
    const value = Math.floor(perSec[i]! * domainFactors[factors[i]!]! * activeSec);
    const high = Math.floor(value / TWO_32);
    view.setUint32(offsets[i]!, high);
    view.setUint32(offsets[i]! + 4, value - high * TWO_32);
  }
}

function patchGauge(view: DataView, gauge: Gauge, domain: SimulatedDomain): void {
  const value = gauge.read(domain);
  const high = Math.floor(value / TWO_32);
  if (gauge.wide) view.setUint32(gauge.offset, high);
  view.setUint32(gauge.wide ? gauge.offset + 4 : gauge.offset, value - high * TWO_32);
}

function makeParts(fields: readonly StatsField[]): Part[] {
  const parts: Part[] = [];
  let run: StatsField[] = [];
  for (const field of fields) {
    run.push(field);
    if (field.source.kind !== 'text') continue;
    parts.push(makePart(run));
    run = [];
  }
  if (run.length > 0) parts.push(makePart(run));
  return parts;
}

/** @param fields numbers, and at most one text, which is the last */
function makePart(fields: readonly StatsField[]): Part {
  const writer = new XdrWriter(fields.length * FIELD_BYTES);
  const counters: { offset: number; perSec: number; factor: number }[] = [];
  const gauges: Gauge[] = [];
  let text: Part['text'];
  let sinceSec: Part['sinceSec'];
  for (const { name, type, source } of fields) {
    typedParam.write(writer, zeroParam(name, type));
    const wide = WIDE.has(type);
    const offset = writer.bodyLength - (wide ? 8 : 4);
    if (source.kind === 'counter') {
      counters.push({ offset, ...source });
      sinceSec = source.sinceSec;
    }
    if (source.kind === 'gauge') gauges.push({ offset, wide, read: source.read });
    if (source.kind === 'text') text = source.read;
  }
  const end = writer.bodyLength - (text ? 4 : 0); // the string itself is written by write()
  const header = { program: 0, version: 0, procedure: 0, type: 0, serial: 0, status: 0 };
  const bytes = writer.finish(header).subarray(HEADER_BYTES, HEADER_BYTES + end);
  return {
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    offsets: Int32Array.from(counters, ({ offset }) => offset),
    perSec: Float64Array.from(counters, ({ perSec }) => perSec),
    factors: Uint8Array.from(counters, ({ factor }) => factor),
    sinceSec,
    gauges,
    text,
  };
}

function zeroParam(field: string, type: StatsField['type']): TypedParam {
  if (type === 'string') return { field, type, value: '' };
  if (type === 'boolean') return { field, type, value: false };
  return { field, type, value: 0 };
}
