/**
 * A client of the agent that keeps what it is told of each VM, payload by payload, and waits for more.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { VdsmClient } from '../../src/client/client.js';
import type { AgentEventMessage, ParamsOf, ResultOf } from '../../src/client/client.js';

export type VmPayload = Readonly<Record<string, unknown>>;

const STATUS_TOPIC = /^\|virt\|VM_status\|(.*)$/;
const LIMIT_MS = 30_000;
const RETRY_MS = 200;

export class VmEvents {
  readonly #payloads = new Map<string, VmPayload[]>();
  readonly #watchers = new Set<() => void>();

  private constructor(readonly client: VdsmClient) {
    client.onEvent((event) => this.#received(event));
  }

  static async open(address: string): Promise<VmEvents> {
    const events = new VmEvents(await VdsmClient.connect(address));
    await events.#subscribe();
    return events;
  }

  call<Method extends string>(method: Method, params: ParamsOf<Method>): Promise<ResultOf<Method>> {
    return this.client.call(method, params);
  }

  /** All of one VM so far, or since clear(). */
  of(vmId: string): readonly VmPayload[] {
    return this.#payloads.get(vmId) ?? [];
  }

  statuses(vmId: string): unknown[] {
    return this.of(vmId).map(({ status }) => status);
  }

  clear(vmId: string): void {
    this.#payloads.delete(vmId);
  }

  /** Resolves with the first payload, past or to come, that has all the members. */
  async until(vmId: string, members: VmPayload, limitMs = LIMIT_MS): Promise<VmPayload> {
    const found = (): VmPayload | undefined =>
      this.of(vmId).find((payload) =>
        Object.entries(members).every(([name, value]) => payload[name] === value),
      );
    let watch: (() => void) | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        watch = () => {
          const payload = found();
          if (payload) resolve(payload);
        };
        this.#watchers.add(watch);
        timer = setTimeout(() => {
          const told = JSON.stringify(this.of(vmId).map(({ status, pauseCode }) => ({ status, pauseCode })));
          reject(new Error(`${vmId} never was ${JSON.stringify(members)}, only ${told}`));
        }, limitMs);
        watch();
      });
    } finally {
      clearTimeout(timer);
      if (watch) this.#watchers.delete(watch);
    }
  }

  /** `exitCode/exitReason` of the Down event. */
  async untilDown(vmId: string, limitMs?: number): Promise<string> {
    const { exitCode, exitReason } = await this.until(vmId, { status: 'Down' }, limitMs);
    return `${String(exitCode)}/${String(exitReason)}`;
  }

  close(): Promise<void> {
    return this.client.close();
  }

  /** An agent that has just been started does not know all VMs yet. */
  async #subscribe(): Promise<void> {
    for (let leftMs = LIMIT_MS; ; leftMs -= RETRY_MS) {
      try {
        await this.client.call('Agent.subscribe', {});
        return;
      } catch (error) {
        if (leftMs <= 0) throw error;
        await delay(RETRY_MS);
      }
    }
  }

  #received({ method, params }: AgentEventMessage): void {
    const vmId = STATUS_TOPIC.exec(method)?.[1];
    if (vmId === undefined) return;
    this.#payloads.set(vmId, [...this.of(vmId), params[vmId] as VmPayload]);
    for (const watch of [...this.#watchers]) watch();
  }
}
