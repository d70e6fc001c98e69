/**
 * The least client of the libvirt protocol that the simulator's tests need: any number of calls in flight,
 * events kept. Written on the codecs alone, so that neither end is tested with its own other half.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { eventPackets, eventPacketOf } from '../../../src/libvirt/domain-events.js';
import { errorPayload } from '../../../src/libvirt/errors.js';
import type { Procedure } from '../../../src/libvirt/procedure.js';
import { procedures } from '../../../src/libvirt/procedures.js';
import type { Args, ProcedureName, Result } from '../../../src/libvirt/procedures.js';
import {
  HEADER_BYTES,
  PacketSplitter,
  PacketStatus,
  PacketType,
  Program,
  PROTOCOL_VERSION,
} from '../../../src/libvirt/wire.js';
import type { PacketHeader } from '../../../src/libvirt/wire.js';
import type { Codec } from '../../../src/libvirt/xdr-codecs.js';
import { XdrReader, XdrWriter } from '../../../src/libvirt/xdr.js';

/** What an error reply said. */
export class RpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export interface ReceivedEvent {
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** What came after the reply that opened a stream. */
export interface ReceivedStream {
  readonly parts: Buffer[];
  /** The daemon's last word: status ok. */
  confirmed: boolean;
}

interface Pending {
  readonly row: Procedure;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class RpcClient {
  readonly events: ReceivedEvent[] = [];
  readonly keepalives: number[] = [];
  /** By serial. */
  readonly streams = new Map<number, ReceivedStream>();
  closed = false;
  readonly #pending = new Map<number, Pending>();
  #nextSerial = 0;

  private constructor(readonly socket: Socket) {
    const splitter = new PacketSplitter((header, packet) => this.#onPacket(header, packet));
    socket.on('data', (chunk) => splitter.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      for (const { reject } of this.#pending.values()) reject(new Error('connection closed'));
    });
  }

  static async connect(path: string): Promise<RpcClient> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RpcClient(socket);
  }

  /** Connected, authenticated, opened. */
  static async open(path: string, flags = 0): Promise<RpcClient> {
    const client = await RpcClient.connect(path);
    await client.call('AUTH_LIST', undefined);
    await client.call('CONNECT_OPEN', { name: 'qemu:///system', flags });
    return client;
  }

  call<N extends ProcedureName>(name: N, args: Args<N>): Promise<Result<N>> {
    const row = procedures[name] as unknown as Procedure;
    const serial = this.#nextSerial++;
    const writer = new XdrWriter(65_536);
    row.args.write(writer, args);
    this.socket.write(
      writer.finish({
        program: row.program,
        version: PROTOCOL_VERSION,
        procedure: row.number,
        type: PacketType.call,
        serial,
        status: PacketStatus.ok,
      }),
    );
    return new Promise((resolve, reject) => {
      this.#pending.set(serial, { row, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  /** The serial of the call made last. */
  get lastSerial(): number {
    return this.#nextSerial - 1;
  }

  /** Finishes (status ok) or gives up (error) the stream of a call. */
  endStream(name: ProcedureName, serial: number, status: number): void {
    const { program, number: procedure } = procedures[name];
    const header = { program, version: PROTOCOL_VERSION, procedure, type: PacketType.stream, serial, status };
    this.socket.write(new XdrWriter().finish(header));
  }

  /** Lifecycle events as 'event/detail', in order of arrival. */
  get lifecycle(): string[] {
    return this.events
      .filter(({ name }) => name === 'lifecycle')
      .map(({ payload }) => `${String(payload['event'])}/${String(payload['detail'])}`);
  }

  close(): void {
    this.socket.destroy();
  }

  #onPacket(header: PacketHeader, packet: Buffer): void {
    if (header.program === Program.keepalive) {
      this.keepalives.push(header.procedure);
      return;
    }
    const reader = new XdrReader(packet);
    if (header.type === PacketType.event) {
      const name = eventPacketOf(header.procedure)!;
      const codec = eventPackets[name].codec as Codec<unknown>;
      this.events.push({ name, payload: codec.read(reader) as Record<string, unknown> });
      return;
    }
    if (header.type === PacketType.stream) {
      const stream = this.streams.get(header.serial) ?? { parts: [], confirmed: false };
      this.streams.set(header.serial, stream);
      if (header.status === PacketStatus.ok) stream.confirmed = true;
      else stream.parts.push(packet.subarray(HEADER_BYTES));
      return;
    }
    const pending = this.#pending.get(header.serial);
    this.#pending.delete(header.serial);
    if (header.status === PacketStatus.error) {
      const { code, message } = errorPayload.read(reader);
      pending?.reject(new RpcError(code, message ?? ''));
    } else {
      pending?.resolve(pending.row.result.read(reader));
    }
  }
}

/** Lets sockets and promises work until the condition holds; for tests that must not sleep. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('the condition did not come true');
}
