/**
 * A connection to an agent: calls with deadlines, and the agent's events.
 *
 * One object is one connection: it opens once, closes once and never reconnects (vm-monitor.ts does that with a new
 * one). Every call settles: with the answer, a VdsmError, a DeadlineError, or a ConnectionError as soon as the
 * socket closes. Events are handed on in the order of the wire, possibly before the promise of an earlier reply runs.
 */
import { JSONRPCClient, createJSONRPCErrorResponse, isJSONRPCResponse } from 'json-rpc-2.0';
import type { JSONRPCResponse } from 'json-rpc-2.0';
import { WebSocket } from 'ws';
import type { VerbName, VerbParams, VerbResult } from '../protocol/verbs.js';
import { tellAll } from '../util/listeners.js';
import { systemClock } from '../util/time.js';
import type { Clock } from '../util/time.js';
import { parseAddress } from './address.js';
import type { AgentAddress, SocketOptions } from './address.js';
import { ConnectionError, DeadlineError, VdsmError } from './errors.js';
import { openSocket } from './socket.js';

// With these, a program that imports the client can tell its failures apart.
export { ConnectionError, DeadlineError, VdsmError } from './errors.js';

/** A peer that does not answer the closing handshake within this time is cut off. */
const CLOSE_GRACE_MS = 1000;

export interface ConnectOptions extends SocketOptions {
  /** Deadline of calls that name none; default 60 s. */
  readonly callTimeoutMs?: number;
  readonly clock?: Clock;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A notification of the agent. */
export interface AgentEventMessage {
  /** `|virt|VM_status|<vmId>` and the like. */
  readonly method: string;
  /** Keys are VM ids, but for `notify_time`. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Number within the agent's epoch; absent from servers that number nothing. */
  readonly seq?: number;
}

/** Parameters and results of the verbs in schema/verbs/; of others, anything. */
export type ParamsOf<Method extends string> = Method extends VerbName
  ? VerbParams<Method>
  : Readonly<Record<string, unknown>>;
export type ResultOf<Method extends string> = Method extends VerbName ? VerbResult<Method> : unknown;

export type ClientState = 'open' | 'closed';

export class VdsmClient {
  #closeReason = '';
  #lastId = 0;
  #invalidMessages = 0;
  #cancelCloseGrace: (() => void) | undefined;
  readonly #rpc: JSONRPCClient;
  readonly #pending = new Set<(error: Error) => void>();
  readonly #eventListeners = new Set<(event: AgentEventMessage) => void>();
  readonly #closeListeners = new Set<(reason: string) => void>();
  readonly #gone: Promise<void>;

  private constructor(
    private readonly socket: WebSocket,
    readonly address: AgentAddress,
    private readonly clock: Clock,
    private readonly callTimeoutMs: number,
  ) {
    this.#rpc = new JSONRPCClient((request) => {
      this.socket.send(JSON.stringify(request));
    });
    socket.on('message', (data) => this.#receive(data as Buffer));
    socket.on('error', (error) => (this.#closeReason ||= error.message));
    this.#gone = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.#closed(code, reason.toString());
        resolve();
      });
    });
  }

  /**
   * Opens a connection. Address forms: see parseAddress.
   * @throws RangeError for an address that is none; ConnectionError where nobody answers there
   */
  static async connect(address: string, options: ConnectOptions = {}): Promise<VdsmClient> {
    const target = parseAddress(address);
    const clock = options.clock ?? systemClock;
    const socket = await openSocket(target, options, clock);
    return new VdsmClient(socket, target, clock, options.callTimeoutMs ?? 60_000);
  }

  get state(): ClientState {
    return this.#closeReason === '' ? 'open' : 'closed';
  }

  /** Why it closed, as a sentence part; '' while open. */
  get closeReason(): string {
    return this.#closeReason;
  }

  /** Messages that were neither an answer nor an event; a correct agent sends none. */
  get invalidMessages(): number {
    return this.#invalidMessages;
  }

  /**
   * Calls a verb. Parameters and result are typed from schema/verbs/; the answer itself is not checked.
   * @throws VdsmError, DeadlineError, ConnectionError, or the signal's reason
   */
  async call<Method extends string>(
    method: Method,
    params: ParamsOf<Method>,
    options: CallOptions = {},
  ): Promise<ResultOf<Method>> {
    options.signal?.throwIfAborted();
    if (this.state === 'closed') throw this.#lost();
    const response = await this.#request(method, params, options);
    if (response.error) throw new VdsmError(response.error.code, response.error.message);
    return response.result as ResultOf<Method>;
  }

  #request(method: string, params: unknown, options: CallOptions): Promise<JSONRPCResponse> {
    const id = ++this.#lastId;
    const timeoutMs = options.timeoutMs ?? this.callTimeoutMs;
    return new Promise((resolve, reject) => {
      const release = (): void => {
        cancelDeadline();
        this.#pending.delete(fail);
        options.signal?.removeEventListener('abort', aborted);
      };
      const fail = (error: Error): void => {
        release();
        reject(error);
        // The library forgets the request as if it had been answered.
        this.#rpc.receive(createJSONRPCErrorResponse(id, 0, 'given up'));
      };
      const aborted = (): void => fail(options.signal?.reason as Error);
      const cancelDeadline = this.clock.after(timeoutMs, () =>
        fail(
          new DeadlineError(`${this.address.label} did not answer ${method} within ${timeoutMs / 1000} s`),
        ),
      );
      this.#pending.add(fail);
      options.signal?.addEventListener('abort', aborted, { once: true });
      const answered = (response: JSONRPCResponse): void => {
        release();
        resolve(response);
      };
      this.#rpc.requestAdvanced({ jsonrpc: '2.0', id, method, params }).then(answered, fail);
    });
  }

  /** Returns the remover. */
  onEvent(listener: (event: AgentEventMessage) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** Called once, when the connection has closed for whatever reason. Returns the remover. */
  onClose(listener: (reason: string) => void): () => void {
    this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  /** Idempotent. Pending calls reject at once; resolves when the socket is gone. */
  async close(): Promise<void> {
    this.#closeReason ||= 'closed by this side';
    this.#failPending();
    if (this.socket.readyState !== WebSocket.CLOSED) {
      this.#cancelCloseGrace ??= this.clock.after(CLOSE_GRACE_MS, () => this.socket.terminate());
      this.socket.close(1000);
    }
    await this.#gone;
  }

  #receive(data: Buffer): void {
    const message = parsedMessage(data);
    if (message === undefined) {
      this.#invalidMessages++;
    } else if ('method' in message) {
      tellAll(this.#eventListeners, (listener) => listener(message));
    } else {
      this.#rpc.receive(message);
    }
  }

  #closed(code: number, reason: string): void {
    this.#closeReason ||= closeText(code, reason);
    this.#cancelCloseGrace?.();
    this.#failPending();
    tellAll(this.#closeListeners, (listener) => listener(this.#closeReason));
    this.#closeListeners.clear();
    this.#eventListeners.clear();
  }

  #failPending(): void {
    for (const fail of [...this.#pending]) fail(this.#lost());
  }

  #lost(): ConnectionError {
    return new ConnectionError(`the connection to ${this.address.label} is closed: ${this.#closeReason}`);
  }
}

function closeText(code: number, reason: string): string {
  if (reason !== '') return reason;
  if (code === 1006) return 'it ended without a word';
  return code === 1005 || code === 1000 ? 'the agent closed it' : `the agent closed it with code ${code}`;
}

/** An answer or an event; undefined for anything else. */
function parsedMessage(data: Buffer): JSONRPCResponse | AgentEventMessage | undefined {
  let message: unknown;
  try {
    message = JSON.parse(data.toString());
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null) return undefined;
  if (isEvent(message)) return message;
  return isJSONRPCResponse(message) ? message : undefined;
}

function isEvent(message: object): message is AgentEventMessage {
  const { id, method, params, seq } = message as Record<string, unknown>;
  return (
    id === undefined &&
    typeof method === 'string' &&
    typeof params === 'object' &&
    params !== null &&
    (seq === undefined || Number.isSafeInteger(seq))
  );
}
