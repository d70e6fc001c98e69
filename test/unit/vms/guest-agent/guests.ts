/** A registry with VMs whose guest agents a test directs, and the poller over them on a manual clock. */
import type { DomainDescription } from '../../../../src/domain/devices.js';
import { HypervisorError } from '../../../../src/domain/hypervisor.js';
import type {
  CallOptions,
  HypervisorErrorKind,
  HypervisorStatus,
} from '../../../../src/domain/hypervisor.js';
import type { GuestCalls, GuestInterface } from '../../../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../../../src/domain/ids.js';
import type { AgentEvent, Vm } from '../../../../src/domain/vm.js';
import { silentLogger } from '../../../../src/util/log.js';
import { createMetrics } from '../../../../src/util/metrics.js';
import { GuestAgentPoller } from '../../../../src/vms/guest-agent/poller.js';
import type { PollPeriods } from '../../../../src/vms/guest-agent/schedule.js';
import { Registry } from '../../../../src/vms/registry.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { domain as someDomain, vmId } from '../../sampler/fixtures.js';
import * as answers from './answers.js';

export const periods: PollPeriods = {
  capabilities: 300,
  users: 10,
  cpus: 60,
  interfaces: 120,
  hostname: 120,
  os: 120,
  timezone: 120,
  filesystems: 300,
  devices: 120,
};

export interface AskedCommand {
  readonly atMs: number;
  readonly id: VmId;
  readonly command: string;
}

/** What an agent does; changed at will while it is polled. */
export interface Behaviour {
  /** How long it takes to answer; a silent one fails after libvirt's limit. */
  takesMs: number;
  silent: boolean;
  /** Every command fails in this way. */
  fails?: HypervisorErrorKind;
  version: string;
  disabled: readonly string[];
  info: Readonly<Record<string, string | number | boolean>>;
}

const SILENT_MS = 5000;

export class Guests implements GuestCalls {
  readonly asked: AskedCommand[] = [];
  readonly limits: { readonly id: VmId; readonly seconds: number }[] = [];
  readonly behaviours = new Map<VmId, Behaviour>();
  /** The most commands at a time: to one agent, to silent ones, in all. */
  readonly peaks = { one: 0, silent: 0, all: 0 };
  readonly #underWay: VmId[] = [];

  constructor(private readonly clock: ManualClock) {}

  of(id: VmId): Behaviour {
    const made: Behaviour = { takesMs: 5, silent: false, version: '8.2.0', disabled: [], info: answers.info };
    const known = this.behaviours.get(id) ?? made;
    this.behaviours.set(id, known);
    return known;
  }

  countOf(command: string, id?: VmId): number {
    return this.asked.filter((each) => each.command === command && (id === undefined || each.id === id))
      .length;
  }

  setAgentTimeout(id: VmId, seconds: number): Promise<void> {
    this.limits.push({ id, seconds });
    return Promise.resolve();
  }

  async info(
    id: VmId,
    kinds: readonly string[],
    options?: CallOptions,
  ): Promise<Readonly<Record<string, string | number | boolean>>> {
    await this.#ask(id, kinds.join('+'), options);
    return this.of(id).info;
  }

  async interfaces(id: VmId, options?: CallOptions): Promise<readonly GuestInterface[]> {
    await this.#ask(id, 'interfaces', options);
    return answers.interfaces;
  }

  async command(
    id: VmId,
    { execute }: { readonly execute: string },
    options?: CallOptions,
  ): Promise<unknown> {
    await this.#ask(id, execute, options);
    const { version, disabled } = this.of(id);
    if (execute === 'guest-info') return answers.guestInfoAnswer(version, disabled);
    return execute === 'guest-get-vcpus' ? answers.vcpus : answers.pciDevices;
  }

  freeze(): Promise<number> {
    return Promise.reject(new Error('the poller freezes nothing'));
  }

  thaw(): Promise<number> {
    return Promise.reject(new Error('the poller thaws nothing'));
  }

  async #ask(id: VmId, command: string, { signal }: CallOptions = {}): Promise<void> {
    const { silent, fails, takesMs } = this.of(id);
    this.asked.push({ atMs: this.clock.nowMs(), id, command });
    this.#underWay.push(id);
    const count = (test: (other: VmId) => boolean): number => this.#underWay.filter(test).length;
    this.peaks.all = Math.max(this.peaks.all, this.#underWay.length);
    this.peaks.one = Math.max(
      this.peaks.one,
      count((other) => other === id),
    );
    this.peaks.silent = Math.max(
      this.peaks.silent,
      count((other) => this.of(other).silent),
    );
    try {
      await new Promise<void>((resolve, reject) => {
        const giveUp = (): void => {
          cancel();
          reject(new HypervisorError('aborted', 'the caller gave up'));
        };
        const cancel = this.clock.after(silent ? SILENT_MS : takesMs, () => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        });
        signal?.addEventListener('abort', giveUp);
      });
      if (silent) throw new HypervisorError('agent', 'Guest agent is not responding');
      if (fails) throw new HypervisorError(fails, `it fails: ${fails}`);
    } finally {
      this.#underWay.splice(this.#underWay.indexOf(id), 1);
    }
  }
}

export class PollerBench {
  readonly clock = new ManualClock();
  readonly metrics = createMetrics();
  readonly published: AgentEvent[] = [];
  readonly guests = new Guests(this.clock);
  readonly registry: Registry;
  readonly poller: GuestAgentPoller;
  status: HypervisorStatus = { state: 'open', sinceMs: 0, uri: 'fake:///', readOnly: false };

  constructor(changed: Partial<PollPeriods> = {}) {
    const parts = { clock: this.clock, log: silentLogger, metrics: this.metrics };
    this.registry = new Registry({ ...parts, publish: (event) => this.published.push(event) });
    const hypervisor = ((status: () => HypervisorStatus) => ({
      guest: this.guests,
      get status() {
        return status();
      },
    }))(() => this.status);
    this.poller = new GuestAgentPoller({
      ...parts,
      hypervisor,
      registry: this.registry,
      periods: { ...periods, ...changed },
    });
  }

  /** A VM that was started just now, or so many seconds ago; its agent's channel is connected unless told otherwise. */
  addVm(n: number, { ageSec = 0, connected = true } = {}): VmId {
    const id = vmId(n);
    this.registry.add(
      { id, name: `vm-${n}`, external: false, internal: 'WaitForLaunch' },
      {
        causes: ['launched'],
        facts: { domain: describe(id, connected), startedAtMs: this.clock.wallMs() - ageSec * 1000 },
      },
    );
    return id;
  }

  /** The agent's channel is connected, or not any more, as the XML that was read again tells. */
  connect(id: VmId, connected: boolean): void {
    this.registry.change(id, { facts: { domain: describe(id, connected) } });
  }

  /** As the REBOOT event of a guest. */
  reboot(id: VmId): void {
    this.registry.change(id, { causes: ['rebooted'], facts: { startedAtMs: this.clock.wallMs() } });
  }

  vm(id: VmId): Vm {
    const vm = this.registry.get(id);
    if (!vm) throw new Error(`no VM ${id}`);
    return vm;
  }

  /** Payloads of the VM's events since the last call. */
  events(id: VmId): Readonly<Record<string, unknown>>[] {
    return this.published
      .splice(0)
      .flatMap(({ params }) => (params[id] === undefined ? [] : [params[id] as Record<string, unknown>]));
  }

  async counted(result: string): Promise<number> {
    const { values } = await this.metrics.guest_agent_commands_total.get();
    return values.reduce((sum, { labels, value }) => sum + (labels['result'] === result ? value : 0), 0);
  }

  async silentAgents(): Promise<number> {
    return (await this.metrics.guest_agents_silent.get()).values[0]?.value ?? 0;
  }
}

function describe(id: VmId, guestAgentConnected: boolean): DomainDescription {
  return { ...someDomain, id, guestAgentConnected };
}
