/**
 * What becomes of a VM when the last user of its console leaves: the action that came with the console's ticket.
 *
 * Shutdown and reboot are done, after a delay if one was given, which a user who comes back in time cancels. Locking
 * the screen and logging out need oVirt's guest agent of old, which this agent does not speak to: they are accepted, as
 * engines send them with every ticket, and come to nothing. As in VDSM the order does not survive the agent.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import { RateLimiter } from '../../util/log.js';
import type { OperationsParts } from '../operation.js';
import type { Shutdowns } from './shutdown.js';

export const disconnectActions = ['none', 'lock_screen', 'logout', 'shutdown', 'reboot'] as const;
export type DisconnectAction = (typeof disconnectActions)[number];

export interface DisconnectOrder {
  readonly action: DisconnectAction;
  readonly delayMin: number;
}

interface Standing extends DisconnectOrder {
  cancelDelay: (() => void) | undefined;
}

/** Three weeks: what fits a timer. */
const MAX_DELAY_MIN = 30_240;
/** VDSM: vars.sys_shutdown_timeout. */
const STEP_TIMEOUT_SEC = 120;

/** @throws VerbError invalidParameter */
export function disconnectOrder(action: string, delayMin = 0): DisconnectOrder {
  const lower = action.toLowerCase();
  const known = lower === 'lock' ? 'lock_screen' : disconnectActions.find((each) => each === lower);
  if (known === undefined) {
    throw new VerbError(
      'invalidParameter',
      `disconnectAction must be one of ${disconnectActions.join(', ')}`,
    );
  }
  if (delayMin > MAX_DELAY_MIN) {
    throw new VerbError(
      'invalidParameter',
      `consoleDisconnectActionDelay is at most ${MAX_DELAY_MIN} minutes`,
    );
  }
  return { action: known, delayMin };
}

/** The standing orders of all VMs; a VM's ends with its run. */
export class ConsoleDisconnects {
  readonly #standing = new Map<VmId, Standing>();
  readonly #quiet: RateLimiter;

  constructor(
    private readonly parts: Pick<OperationsParts, 'registry' | 'clock' | 'log'>,
    private readonly shutdowns: Pick<Shutdowns, 'begin'>,
  ) {
    this.#quiet = new RateLimiter(parts.clock);
    parts.registry.onChange((id, after, before) => {
      if (this.#standing.has(id)) this.#changed(id, after, before);
    });
  }

  /** Takes the place of the VM's order before. */
  set(id: VmId, order: DisconnectOrder): void {
    this.#drop(id);
    if (order.action !== 'none') this.#standing.set(id, { ...order, cancelDelay: undefined });
  }

  #changed(id: VmId, after: Vm | undefined, before: Vm | undefined): void {
    const was = before?.clientIp ?? '';
    if (!after || after.internal === 'Down') this.#drop(id);
    else if (after.clientIp !== '') this.#cancelDelay(id);
    else if (was !== '') this.#left(after);
  }

  #left(vm: Vm): void {
    const standing = this.#standing.get(vm.id);
    if (!standing) return;
    if (standing.delayMin === 0) {
      this.#act(vm, standing.action);
      return;
    }
    this.#cancelDelay(vm.id);
    standing.cancelDelay = this.parts.clock.after(standing.delayMin * 60_000, () => {
      standing.cancelDelay = undefined;
      this.#act(vm, standing.action);
    });
  }

  #act({ id, name }: Vm, action: DisconnectAction): void {
    const { log } = this.parts;
    const fields = { vmId: id, name, action };
    if (action !== 'shutdown' && action !== 'reboot') {
      this.#quiet.run('not offered', (swallowed) =>
        log.info({ ...fields, swallowed }, 'A console was left: this action needs a guest agent of old'),
      );
      return;
    }
    log.info(fields, 'A console was left: its ticket orders the VM to end or to reboot');
    try {
      this.shutdowns.begin(id, { reboot: action === 'reboot', timeout: STEP_TIMEOUT_SEC, force: true });
    } catch (error) {
      log.warn({ ...fields, err: error }, 'A VM could not be ended or rebooted when its console was left');
    }
  }

  #drop(id: VmId): void {
    this.#cancelDelay(id);
    this.#standing.delete(id);
  }

  #cancelDelay(id: VmId): void {
    const standing = this.#standing.get(id);
    standing?.cancelDelay?.();
    if (standing) standing.cancelDelay = undefined;
  }
}
