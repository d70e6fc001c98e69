/**
 * Guest agents of the fake hypervisor: none unless a test connects one and says what it answers.
 */
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { GuestCalls, GuestInfoKind, GuestInterface } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import { edited } from './fake-xml.js';
import type { FakeDomain } from './fake-domain.js';
import { domainOf, failed, wrongState } from './fake-world.js';
import type { FakeWorld } from './fake-world.js';

const CHANNEL = 'org.qemu.guest_agent.0';

/** What an agent does in a frozen guest. */
const whileFrozen = new Set(['guest-ping', 'guest-info', 'guest-sync', 'guest-fsfreeze-status']);

export interface FakeAgent {
  /** By libvirt's names: 'hostname', 'os.name', 'user.0.name' ... */
  info?: Readonly<Record<string, string | number | boolean>>;
  interfaces?: readonly GuestInterface[];
  /** What each command of the agent's own protocol returns, or throws. */
  commands?: Readonly<Record<string, (given: Readonly<Record<string, unknown>>) => unknown>>;
  filesystems?: number;
  /** It is connected but answers nothing. */
  silent?: boolean;
}

export class FakeGuest implements GuestCalls {
  readonly timeouts = new Map<VmId, number>();
  readonly frozen = new Set<VmId>();
  readonly #agents = new Map<VmId, FakeAgent>();

  constructor(private readonly world: FakeWorld) {}

  /** The agent of a running domain connects. */
  connect(id: VmId, agent: FakeAgent = {}): FakeAgent {
    this.#agents.set(id, agent);
    this.#tell(id, 'connected');
    return agent;
  }

  disconnect(id: VmId): void {
    this.#agents.delete(id);
    this.#tell(id, 'disconnected');
  }

  /** @throws HypervisorError 'agent', 'invalid-state' */
  requireAgent(domain: FakeDomain): FakeAgent {
    if (domain.state.state !== 'running') throw wrongState('domain is not running');
    const agent = this.#agents.get(domain.id);
    if (agent && !agent.silent) return agent;
    const configured = agent !== undefined || domain.xml.includes(CHANNEL);
    const why = configured
      ? 'Guest agent is not responding: QEMU guest agent is not connected'
      : 'argument unsupported: QEMU guest agent is not configured';
    throw new HypervisorError('agent', why);
  }

  async setAgentTimeout(id: VmId, seconds: number): Promise<void> {
    await this.world.enterDomain('guest.setAgentTimeout', id, { seconds });
    this.timeouts.set(id, seconds);
  }

  async info(
    id: VmId,
    kinds: readonly GuestInfoKind[],
  ): Promise<Readonly<Record<string, string | number | boolean>>> {
    const { info = {} } = await this.#enter('guest.info', id, { kinds });
    this.#requireThawed(id, 'guest-get-osinfo');
    return info;
  }

  async interfaces(id: VmId): Promise<readonly GuestInterface[]> {
    return (await this.#enter('guest.interfaces', id, {})).interfaces ?? [];
  }

  async command(
    id: VmId,
    command: { readonly execute: string; readonly arguments?: Readonly<Record<string, unknown>> },
  ): Promise<unknown> {
    const { commands = {} } = await this.#enter('guest.command', id, command);
    if (!whileFrozen.has(command.execute)) this.#requireThawed(id, command.execute);
    const run = commands[command.execute];
    if (run) return run(command.arguments ?? {});
    const message = `unable to execute QEMU agent command '${command.execute}': The command has not been found`;
    throw new HypervisorError('unsupported', message);
  }

  async freeze(id: VmId): Promise<number> {
    const { filesystems = 1 } = await this.#enter('guest.freeze', id, {});
    this.#requireThawed(id, 'guest-fsfreeze-freeze');
    this.frozen.add(id);
    return filesystems;
  }

  async thaw(id: VmId): Promise<number> {
    const { filesystems = 1 } = await this.#enter('guest.thaw', id, {});
    return this.frozen.delete(id) ? filesystems : 0;
  }

  async #enter(
    method: `guest.${Extract<keyof GuestCalls, string>}`,
    id: VmId,
    args: Readonly<Record<string, unknown>>,
  ): Promise<FakeAgent> {
    return this.requireAgent(await this.world.enterActive(method, id, args));
  }

  #requireThawed(id: VmId, command: string): void {
    if (!this.frozen.has(id)) return;
    throw failed(`internal error: Command ${command} has been disabled: the agent is in frozen state`);
  }

  #tell(id: VmId, state: 'connected' | 'disconnected'): void {
    const domain = domainOf(this.world, id);
    domain.live = edited(domain.live, (live) => {
      for (const channel of live.child('devices')?.children('channel') ?? []) {
        const target = channel.child('target');
        if (target?.attribute('name') === CHANNEL) target.attributes.set('state', state);
      }
    });
    this.world.emit(id, { kind: 'agent-lifecycle', state });
  }
}
