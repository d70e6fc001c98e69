/**
 * Asks the guest agents of running VMs, and puts what they tell into the VMs' records.
 *
 * Only agents whose channel is connected, of guests whose CPUs run and on which no verb works now; one command at a time
 * per VM, a few in all (places.ts), each with libvirt's limit and a deadline of our own. What is known of an agent is
 * forgotten with the connection of its channel and when the guest reboots: it may be another agent that comes back.
 *
 * The first answers after a start or a reboot show that the guest is up: that is announced, with what it told.
 */
import { HypervisorError } from '../../domain/hypervisor.js';
import type { Hypervisor } from '../../domain/hypervisor.js';
import type { VmId } from '../../domain/ids.js';
import { guestBlock } from '../../domain/vm-record.js';
import type { Vm } from '../../domain/vm.js';
import type { Service } from '../../util/lifecycle.js';
import type { Logger } from '../../util/log.js';
import { RateLimiter } from '../../util/log.js';
import type { Metrics } from '../../util/metrics.js';
import type { Clock } from '../../util/time.js';
import type { Registry } from '../registry.js';
import { commandTable } from './commands.js';
import { supportedCommands, withTold } from './guest-block.js';
import type { Told } from './guest-block.js';
import { outcomeOf } from './outcome.js';
import type { Outcome } from './outcome.js';
import { ANSWER_SEC } from './patience.js';
import { Places } from './places.js';
import { isYoung, LOOP_MS, nextCommand, pauseMs } from './schedule.js';
import type { AgentCommand, PollPeriods, Progress } from './schedule.js';

export interface GuestAgentPollerParts {
  readonly hypervisor: Pick<Hypervisor, 'guest' | 'status'>;
  readonly registry: Registry;
  readonly periods: PollPeriods;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'guest_agent_commands_total' | 'guest_agents_silent'>;
}

/** Commands under way at once; as many as libvirt reads of one connection. */
const PLACES = 4;
const FOR_DOUBTFUL = 2;
/** An agent that takes longer is no company for those that answer. */
const PROMPT_MS = 1000;
/** How long the announcement of a guest waits for what its agent has still to tell. */
const TELLING_MS = 5000;
/** libvirt first makes sure that the agent is there, then gives it the command; each may take the limit. */
const DEADLINE_MS = (2 * ANSWER_SEC + 2) * 1000;

/** What is known of one agent during one connection of its channel. */
interface Agent extends Progress {
  readonly asked: Map<AgentCommand, number>;
  supported: ReadonlySet<string> | undefined;
  /** Of the guest's present run: differs after a reboot. */
  readonly startedAtMs: number | undefined;
  told: Told;
  /** Monotonic ms: of the loop that it is asked in, and before which it is left alone. */
  loopMs: number;
  notBeforeMs: number;
  /** Times in a row that it was silent. */
  failures: number;
  prompt: boolean;
  /** libvirt has been told how long to wait for it. */
  limited: boolean;
  /** Monotonic ms of its first answer. */
  heardAtMs: number | undefined;
  announced: boolean;
}

export class GuestAgentPoller implements Service {
  readonly #agents = new Map<VmId, Agent>();
  readonly #places = new Places<VmId>({
    places: PLACES,
    forDoubtful: FOR_DOUBTFUL,
    isPrompt: (id) => this.#agents.get(id)?.prompt ?? false,
    work: (id) => this.#turn(id),
  });
  readonly #stopped = new AbortController();
  readonly #removers: (() => void)[] = [];
  readonly #quiet: RateLimiter;

  constructor(private readonly parts: GuestAgentPollerParts) {
    this.#quiet = new RateLimiter(parts.clock);
  }

  start(): Promise<void> {
    const { registry, clock } = this.parts;
    this.#removers.push(
      registry.onChange((id, vm) => this.#changed(id, vm)),
      clock.every(LOOP_MS, () => this.#loop()),
    );
    for (const vm of registry.all()) this.#changed(vm.id, vm);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const remove of this.#removers.splice(0)) remove();
    await this.#places.stop();
    this.#agents.clear();
  }

  #changed(id: VmId, vm: Vm | undefined): void {
    if (!vm || vm.internal === 'Down' || !vm.domain?.guestAgentConnected) {
      this.#agents.delete(id);
      this.#places.remove(id);
      return;
    }
    const known = this.#agents.get(id);
    if (known && known.startedAtMs === vm.startedAtMs) {
      if (known.heardAtMs === undefined) this.#offer(vm, known);
      return;
    }
    const agent = newAgent(vm);
    this.#agents.set(id, agent);
    // After a reboot the channel is about to be closed.
    if (known) agent.notBeforeMs = this.parts.clock.nowMs() + LOOP_MS;
    else this.#offer(vm, agent);
  }

  #loop(): void {
    for (const [id, agent] of this.#agents) {
      const vm = this.parts.registry.get(id);
      if (vm) this.#offer(vm, agent);
    }
    this.#countSilent();
  }

  #countSilent(): void {
    let silent = 0;
    for (const { failures } of this.#agents.values()) if (failures > 0) silent++;
    this.parts.metrics.guest_agents_silent.set(silent);
  }

  /** Lets the VM wait for its turn where it has something to be asked. */
  #offer(vm: Vm, agent: Agent): void {
    const nowMs = this.parts.clock.nowMs();
    if (nowMs < agent.notBeforeMs || !this.#mayAsk(vm)) return;
    agent.loopMs = nowMs;
    if (this.#next(vm, agent) !== undefined) this.#places.add(vm.id);
  }

  #mayAsk({ id, internal, cpuRunning }: Vm): boolean {
    const { registry, hypervisor } = this.parts;
    const { state, readOnly } = hypervisor.status;
    const runs = cpuRunning && (internal === 'Up' || internal === 'Migration Source');
    return runs && state === 'open' && !readOnly && registry.locks.running(id) === undefined;
  }

  #next({ startedAtMs }: Vm, agent: Agent): AgentCommand | undefined {
    const young = startedAtMs !== undefined && isYoung(this.parts.clock.wallMs() - startedAtMs);
    return nextCommand(this.parts.periods, agent, { loopMs: agent.loopMs, young });
  }

  /** Asks one command; true where there is more to ask in this loop. */
  async #turn(id: VmId): Promise<boolean> {
    const vm = this.parts.registry.get(id);
    const agent = this.#agents.get(id);
    const command = vm && agent && this.#mayAsk(vm) ? this.#next(vm, agent) : undefined;
    if (!vm || !agent || command === undefined) return false;
    const outcome = await this.#ask(vm, agent, command);
    this.parts.metrics.guest_agent_commands_total.inc({ command, result: outcome });
    // It has gone meanwhile, or the guest has rebooted.
    if (this.#agents.get(id) !== agent || outcome === 'unasked') return false;
    agent.asked.set(command, agent.loopMs);
    const more = outcome !== 'silent' && this.#next(vm, agent) !== undefined;
    if (!more || this.#isOverdue(agent)) this.#announce(id, agent);
    return more;
  }

  async #ask(vm: Vm, agent: Agent, command: AgentCommand): Promise<Outcome> {
    const { hypervisor, clock } = this.parts;
    const startMs = clock.nowMs();
    const options = { deadlineMs: DEADLINE_MS, signal: this.#stopped.signal };
    try {
      if (!agent.limited) await this.#limit(vm, agent);
      const answer = await commandTable[command].ask(hypervisor.guest, vm.id, options);
      this.#answered(vm, agent, clock.nowMs() - startMs);
      if (this.#agents.get(vm.id) === agent) this.#learn(vm.id, agent, command, answer);
      return 'ok';
    } catch (error) {
      const outcome = outcomeOf(error);
      if (outcome === 'refused') {
        this.#refused(vm, command, error);
        this.#answered(vm, agent, clock.nowMs() - startMs);
      }
      if (outcome === 'silent') this.#silent(vm, agent, error);
      return outcome;
    }
  }

  /** A libvirt that knows no such limit (before 5.10) is asked without. */
  async #limit({ id }: Vm, agent: Agent): Promise<void> {
    const options = { signal: this.#stopped.signal };
    await this.parts.hypervisor.guest.setAgentTimeout(id, ANSWER_SEC, options).catch((error: unknown) => {
      if (!(error instanceof HypervisorError && error.kind === 'unsupported')) throw error;
    });
    agent.limited = true;
  }

  #learn(id: VmId, agent: Agent, command: AgentCommand, answer: unknown): void {
    if (command === 'capabilities') agent.supported = supportedCommands(answer);
    agent.told = { ...agent.told, ...commandTable[command].read(answer) };
    const { registry } = this.parts;
    const vm = registry.get(id);
    if (vm) registry.change(id, { facts: { guest: withTold(vm.guest, agent.told) } });
  }

  /** An engine is to learn all at once, unless that takes long. */
  #isOverdue({ heardAtMs }: Agent): boolean {
    return heardAtMs !== undefined && this.parts.clock.nowMs() - heardAtMs >= TELLING_MS;
  }

  #announce(id: VmId, agent: Agent): void {
    const { registry } = this.parts;
    if (agent.announced || agent.heardAtMs === undefined) return;
    agent.announced = true;
    const vm = registry.get(id);
    if (vm) registry.change(id, { causes: ['agent-connected'], extra: { ...guestBlock(vm) } });
  }

  #answered(vm: Vm, agent: Agent, tookMs: number): void {
    agent.heardAtMs ??= this.parts.clock.nowMs();
    agent.prompt = tookMs <= PROMPT_MS;
    if (agent.failures === 0) return;
    agent.failures = 0;
    this.#countSilent();
    this.parts.log.info({ vmId: vm.id, name: vm.name }, 'A guest agent answers again');
  }

  #silent({ id, name }: Vm, agent: Agent, err: unknown): void {
    const { clock, log } = this.parts;
    agent.failures++;
    agent.prompt = false;
    const forMs = pauseMs(agent.failures);
    agent.notBeforeMs = clock.nowMs() + forMs;
    if (agent.failures > 1) return;
    this.#countSilent();
    this.#quiet.run('silent', (swallowed) =>
      log.info(
        { vmId: id, name, err, nextTrySec: forMs / 1000, swallowed },
        'A guest agent does not answer: restart it in the guest',
      ),
    );
  }

  #refused({ id, name }: Vm, command: AgentCommand, err: unknown): void {
    const { log } = this.parts;
    const fields = { vmId: id, name, command, err };
    if (err instanceof HypervisorError) log.debug(fields, 'A guest agent refused');
    else log.error(fields, "A guest agent's answer met an error of our own");
  }
}

function newAgent({ startedAtMs }: Vm): Agent {
  return {
    asked: new Map(),
    supported: undefined,
    startedAtMs,
    told: {},
    loopMs: 0,
    notBeforeMs: 0,
    failures: 0,
    prompt: false,
    limited: false,
    heardAtMs: undefined,
    announced: false,
  };
}
