/**
 * A message -> its reply: envelope check, readiness, verb table, validation, deadline, handler, encoding.
 *
 * How it works:
 * - protocol/jsonrpc.ts cuts the message into requests and faults; the requests of a batch run side by side, each
 *   begun in a turn of the event loop of its own, and only while their answers are not too long together: a batch
 *   must cost neither other clients' time nor the agent's memory.
 * - json-rpc-2.0 dispatches each request. Around it #watch checks readiness (before the lookup of the method, as
 *   VDSM does), maps what is thrown to a VerbError, logs it once and counts it.
 * - The events of a VM that a verb changes are held from before the handler runs until the reply is queued: an
 *   engine drops an event that overtakes the reply.
 * It knows no socket and no verb; `handle` never rejects.
 */
import { setImmediate } from 'node:timers/promises';
import {
  JSONRPCServer,
  type JSONRPCRequest,
  type JSONRPCResponse,
  type JSONRPCServerMiddlewareNext,
} from 'json-rpc-2.0';
import { VerbError } from '../domain/errors.js';
import { parseVmId } from '../domain/ids.js';
import {
  errorResponse,
  faultOf,
  parseMessage,
  type Incoming,
  type JsonRpcResponse,
} from '../protocol/jsonrpc.js';
import { notOffered } from '../protocol/schema.js';
import { ParamsValidator } from '../protocol/validation.js';
import { isVerbName, verbNames, verbSpecs, type VerbName } from '../protocol/verbs.js';
import { RateLimiter, type Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import type { Call, Handlers } from './call.js';
import { deadlineError, toVerbError } from './error-mapping.js';
import type { EventSink, HandleMessage, Peer } from './peer.js';
import { encodeResponse, joinBatch } from './reply.js';

const SLOW_MS = 1000;
const DEFAULT_DEADLINE_SEC = 60;

export interface DispatcherLimits {
  /** Most requests in a batch. */
  readonly batch: number;
  /** Bytes of a batch's answers beyond which none of its further requests is begun. Default 16 MiB. */
  readonly batchReplyBytes?: number;
}

const defaultLimits = { batch: 100, batchReplyBytes: 16 * 1024 * 1024 } satisfies DispatcherLimits;

export interface DispatcherParts {
  readonly handlers: Handlers;
  readonly events: EventSink;
  /** False: verbs answer 99, but for those that `needsReady: false` exempts. */
  readonly isReady: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limits?: DispatcherLimits;
}

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #limits: Required<DispatcherLimits>;
  readonly #malformedLog: RateLimiter;
  readonly #validator = new ParamsValidator();
  #running = 0;
  #draining = false;
  #drained: (() => void) | undefined;
  /** #watch has reported an error before the library's listener hears of it. */
  readonly #server = new JSONRPCServer<Call>({ errorListener: () => undefined });

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#limits = { ...defaultLimits, ...parts.limits };
    this.#malformedLog = new RateLimiter(parts.clock);
    for (const verb of verbNames) {
      this.#server.addMethod(verb, (params: unknown, call) => this.#invoke(verb, params, call));
    }
    this.#server.handleMethodNotFound = ({ method }) => Promise.reject(noSuchVerb(method));
    this.#server.mapErrorToJSONRPCErrorResponse = (id, error) => errorResponse(id, toVerbError(error, ''));
    this.#server.applyMiddleware((next, request, call) => this.#watch(next, request, call));
  }

  readonly handle: HandleMessage = async (message, peer) => {
    const { batch, items } = parseMessage(message, this.#limits.batch);
    const held: (() => void)[] = [];
    const call: Call = { peer, hold: (id) => void held.push(this.#parts.events.hold(id)) };
    const answers = await this.#answerAll(items, call);
    const encoded = answers.filter((answer) => answer !== undefined);
    const release = (): void => {
      for (const end of held.splice(0)) end();
    };
    if (encoded.length > 0) {
      return { pieces: batch ? joinBatch(encoded) : encoded.flat(), sent: release };
    }
    release();
    return undefined;
  };

  /**
   * Takes no more verbs (99: try again, at the agent that comes after this one) and waits for those that run.
   * @returns how many still run when the time is over; what they began goes on at the hypervisor
   */
  async drain(limitMs: number): Promise<number> {
    this.#draining = true;
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        const giveUp = this.#parts.clock.after(limitMs, resolve);
        this.#drained = () => {
          giveUp();
          resolve();
        };
      });
    }
    return this.#running;
  }

  async #answerAll(items: readonly Incoming[], call: Call): Promise<(readonly Buffer[] | undefined)[]> {
    const answers: Promise<readonly Buffer[] | undefined>[] = [];
    let bytes = 0;
    for (const [index, item] of items.entries()) {
      if (index > 0) await setImmediate();
      const admitted = bytes <= this.#limits.batchReplyBytes ? item : this.#refused(item);
      const answer = this.#answer(admitted, call).then((response) => {
        const pieces = response && encodeResponse(response, this.#onFault);
        for (const piece of pieces ?? []) bytes += piece.length;
        return pieces;
      });
      answers.push(answer);
    }
    return Promise.all(answers);
  }

  #refused(item: Incoming): Incoming {
    const detail = `the answers before it are longer than ${this.#limits.batchReplyBytes} bytes: ask again, in a smaller batch`;
    return 'request' in item ? faultOf(new VerbError('invalidRequest', detail), item.request.id) : item;
  }

  readonly #onFault = (err: unknown): void => {
    this.#parts.metrics.internal_faults_total.inc({ part: 'reply' });
    this.#parts.log.error({ err }, 'a result could not be written as JSON');
  };

  async #answer(item: Incoming, call: Call): Promise<JsonRpcResponse | undefined> {
    if ('fault' in item) {
      this.#reportMalformed(item.fault, call.peer);
      return item.reply;
    }
    const response = await this.#server.receive({ ...item.request }, call);
    return response ?? undefined;
  }

  /** Runs one verb. A result that is there at once costs no timer. */
  #invoke(verb: VerbName, params: unknown, call: Call): unknown {
    const input = this.#validator.validate(verb, params);
    const { changesVm, deadlineSec = DEFAULT_DEADLINE_SEC } = verbSpecs[verb];
    const id = changesVm && 'vmID' in input ? parseVmId(input.vmID) : undefined;
    if (id !== undefined) call.hold(id);
    const handler = this.#parts.handlers[verb] as (input: unknown, call: Call) => unknown;
    const result = handler(input, call);
    return result instanceof Promise ? this.#withDeadline(verb, result, deadlineSec * 1000) : result;
  }

  async #withDeadline(verb: VerbName, result: Promise<unknown>, deadlineMs: number): Promise<unknown> {
    let cancel: (() => void) | undefined;
    const expiry = new Promise<never>((_resolve, reject) => {
      cancel = this.#parts.clock.after(deadlineMs, () => {
        reject(deadlineError(verb, deadlineMs));
        result.catch((err: unknown) =>
          this.#parts.log.warn({ verb, err }, 'a verb failed after its caller had been told of its deadline'),
        );
      });
    });
    return await Promise.race([result, expiry]).finally(cancel);
  }

  async #watch(
    next: JSONRPCServerMiddlewareNext<Call>,
    request: JSONRPCRequest,
    call: Call,
  ): Promise<JSONRPCResponse | null> {
    const { clock, isReady, metrics } = this.#parts;
    const verb = isVerbName(request.method) ? request.method : undefined;
    const startMs = clock.nowMs();
    let outcome = 'ok';
    try {
      this.#running++;
      if (!(verb && verbSpecs[verb].needsReady === false)) {
        if (this.#draining) throw new VerbError('recovery', 'this agent is stopping');
        if (!isReady()) throw new VerbError('recovery');
      }
      return await next(request, call);
    } catch (error) {
      const failure = toVerbError(error, request.method);
      outcome = String(failure.code);
      this.#reportFailure(failure, request, call.peer);
      throw failure;
    } finally {
      if (--this.#running === 0) this.#drained?.();
      const tookMs = clock.nowMs() - startMs;
      // Names that are no verb's come from outside: they must not become labels.
      metrics.requests_total.inc({ verb: verb ?? 'unknown', result: outcome });
      if (verb) metrics.request_seconds.observe({ verb }, tookMs / 1000);
      if (tookMs > SLOW_MS) this.#parts.log.info({ verb, tookMs, peer: call.peer.name }, 'slow call');
    }
  }

  #reportFailure(failure: VerbError, request: JSONRPCRequest, peer: Peer): void {
    const fields = {
      method: abbreviated(request.method),
      id: typeof request.id === 'string' ? abbreviated(request.id) : request.id,
      code: failure.code,
      peer: peer.name,
    };
    if (failure.expected) this.#parts.log.info(fields, failure.message);
    else this.#parts.log.error({ ...fields, err: failure.cause ?? failure }, failure.message);
  }

  #reportMalformed(fault: VerbError, peer: Peer): void {
    this.#parts.metrics.requests_malformed_total.inc({ kind: fault.key });
    this.#malformedLog.run(`${peer.name} ${fault.key}`, (swallowed) =>
      this.#parts.log.warn({ peer: peer.name, code: fault.code, swallowed }, fault.message),
    );
  }
}

/** A verb of VDSM that is not served is not unknown: its error says why. */
function noSuchVerb(method: string): VerbError {
  const why = notOffered.get(method);
  if (why === undefined) return new VerbError('methodNotFound', { method: abbreviated(method) });
  return new VerbError('noimpl', `this agent does not offer ${method}: ${why}`);
}

/** Texts of callers go into logs and answers; what is meant fits into this. */
function abbreviated(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
