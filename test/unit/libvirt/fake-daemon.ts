/**
 * A libvirt daemon of a few lines, for tests of the client's side: answers the handshake and whatever a test gives
 * an answer for, notes every call, keeps those silent that the test wants silent. The simulator is the real thing.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorPayload } from '../../../src/libvirt/errors.js';
import { procedure, procedures } from '../../../src/libvirt/procedures.js';
import type { Args, ProcedureName, Result } from '../../../src/libvirt/procedures.js';
import type { LibvirtTarget } from '../../../src/libvirt/uri.js';
import {
  HEADER_BYTES,
  PacketSplitter,
  PacketStatus,
  PacketType,
  Program,
  writeHeader,
} from '../../../src/libvirt/wire.js';
import type { PacketHeader } from '../../../src/libvirt/wire.js';
import type { Codec } from '../../../src/libvirt/xdr-codecs.js';
import { XdrReader, XdrWriter } from '../../../src/libvirt/xdr.js';

export interface Received {
  readonly name: ProcedureName;
  readonly args: unknown;
  readonly header: PacketHeader;
  readonly socket: Socket;
}

/** Thrown by an answer: becomes an error reply. */
export class DaemonFault extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

const byNumber = new Map(
  (Object.keys(procedures) as ProcedureName[]).map((name) => [
    `${procedure(name).program}/${procedure(name).number}`,
    name,
  ]),
);

export class FakeDaemon {
  readonly folder = mkdtempSync(join(tmpdir(), 'fake-libvirt-'));
  readonly path = join(this.folder, 'libvirt-sock');
  readonly received: Received[] = [];
  readonly keepalives: PacketHeader[] = [];
  /** Packets of streams that the client sent: how it ended or aborted them. */
  readonly streamEnds: PacketHeader[] = [];
  readonly sockets = new Set<Socket>();
  readonly #answers = new Map<ProcedureName, (args: never) => unknown>();
  readonly #silent = new Set<ProcedureName>();
  #waiters: (() => void)[] = [];
  #server: Server | undefined;

  constructor() {
    this.answer('AUTH_LIST', () => ({ types: [0] }));
    this.answer('CONNECT_SUPPORTS_FEATURE', () => ({ supported: 1 }));
    this.answer('CONNECT_OPEN', () => undefined);
    this.answer('CONNECT_CLOSE', () => undefined);
    this.answer('CONNECT_GET_TYPE', () => ({ type: 'QEMU' }));
    this.answer('CONNECT_REGISTER_CLOSE_CALLBACK', () => undefined);
    this.answer('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', () => ({ callbackId: 1 }));
  }

  get target(): LibvirtTarget {
    return { uri: 'qemu:///fake', name: 'qemu:///system', socketPaths: [this.path], readOnlySocketPaths: [] };
  }

  async start(): Promise<void> {
    this.#server = createServer((socket) => this.#accept(socket)).listen(this.path);
    await once(this.#server, 'listening');
  }

  /** Closes every connection and the listener, as a daemon that dies. */
  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
    const server = this.#server;
    this.#server = undefined;
    if (!server?.listening) return;
    server.close();
    await once(server, 'close');
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  answer<N extends ProcedureName>(name: N, answer: (args: Args<N>) => Result<N>): void {
    this.#answers.set(name, answer);
    this.#silent.delete(name);
  }

  silence(name: ProcedureName): void {
    this.#silent.add(name);
  }

  calls(name: ProcedureName): Received[] {
    return this.received.filter((call) => call.name === name);
  }

  /** Resolves when the daemon has received so many calls of the procedure. */
  async receives(name: ProcedureName, count = 1): Promise<Received[]> {
    await this.until(() => this.calls(name).length >= count);
    return this.calls(name);
  }

  /** Looks again after each packet that arrives. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  reply<N extends ProcedureName>(call: Received, name: N, result: Result<N>): void {
    const writer = new XdrWriter();
    procedure(name).result.write(writer, result);
    this.send(call.socket, { ...call.header, type: PacketType.reply }, writer);
  }

  fail(call: Received, fault: DaemonFault): void {
    const writer = new XdrWriter();
    errorPayload.write(writer, {
      code: fault.code,
      domain: 10,
      message: fault.message,
      level: 2,
      int1: -1,
      int2: -1,
    });
    const type = call.header.type === PacketType.stream ? PacketType.stream : PacketType.reply;
    this.send(call.socket, { ...call.header, type, status: PacketStatus.error }, writer);
  }

  /** A packet of the stream that follows the reply to a call; of data, or of the end. */
  stream(call: Received, data: Buffer | 'confirm'): void {
    const status = data === 'confirm' ? PacketStatus.ok : PacketStatus.continue;
    const body = data === 'confirm' ? Buffer.alloc(0) : data;
    const packet = Buffer.alloc(HEADER_BYTES + body.length);
    writeHeader(packet, { ...call.header, type: PacketType.stream, status });
    body.copy(packet, HEADER_BYTES);
    call.socket.write(packet);
  }

  /** Ends the stream of a call with an error. */
  failStream(call: Received, fault: DaemonFault): void {
    this.fail({ ...call, header: { ...call.header, type: PacketType.stream } }, fault);
  }

  /** To every connection; serial 1, as libvirt does. */
  event<T>(packet: { readonly procedure: number; readonly codec: Codec<T> }, payload: T): void {
    for (const socket of this.sockets) {
      const writer = new XdrWriter();
      packet.codec.write(writer, payload);
      this.send(socket, eventHeader(packet.procedure), writer);
    }
  }

  send(socket: Socket, header: PacketHeader, body = new XdrWriter()): void {
    socket.write(body.finish(header));
  }

  #accept(socket: Socket): void {
    this.sockets.add(socket);
    const splitter = new PacketSplitter((header, packet) => {
      this.#receive(socket, header, packet);
      for (const waiter of this.#waiters.splice(0)) waiter();
    });
    socket.on('data', (chunk) => splitter.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
  }

  #receive(socket: Socket, header: PacketHeader, packet: Buffer): void {
    if (header.program === Program.keepalive) {
      this.keepalives.push(header);
      return;
    }
    if (header.type === PacketType.stream) {
      this.streamEnds.push(header);
      return;
    }
    const name = byNumber.get(`${header.program}/${header.procedure}`);
    if (!name) throw new Error(`the client called unknown procedure ${header.procedure}`);
    const args = procedure(name).args.read(new XdrReader(packet));
    const call = { name, args, header, socket };
    this.received.push(call);
    if (!this.#silent.has(name)) this.#respond(call);
  }

  #respond(call: Received): void {
    const answer = this.#answers.get(call.name);
    try {
      if (!answer) throw new DaemonFault(3, `this function is not supported: ${call.name}`);
      this.reply(call, call.name, answer(call.args as never) as never);
    } catch (error) {
      if (!(error instanceof DaemonFault)) throw error;
      this.fail(call, error);
    }
    if (call.name === 'CONNECT_CLOSE') call.socket.end();
  }
}

function eventHeader(number: number): PacketHeader {
  return {
    program: Program.remote,
    version: 1,
    procedure: number,
    type: PacketType.event,
    serial: 1,
    status: 0,
  };
}
