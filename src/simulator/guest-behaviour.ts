/**
 * How the guest inside a domain answers what is asked of it. All delays are ms of the guest's own time, which stands
 * still while the domain is paused.
 */

export interface GuestBehaviour {
  /** The power button, Ctrl-Alt-Del and the agent's shutdown. */
  readonly power: 'obeys' | 'ignores';
  readonly powerMs: number;
  /** silent: its channel is connected, but no answer ever comes. */
  readonly agent: 'works' | 'absent' | 'silent';
  /** From boot until the agent connects. */
  readonly agentStartMs: number;
  /** A device is to go. refuses: says so at once (event device-removal-failed); ignores: says nothing. */
  readonly unplug: 'obeys' | 'refuses' | 'ignores';
  readonly unplugMs: number;
  /** A locked tray opens only by force. */
  readonly tray: 'free' | 'locked';
}

export const obedientGuest: GuestBehaviour = {
  power: 'obeys',
  powerMs: 2000,
  agent: 'works',
  agentStartMs: 1000,
  unplug: 'obeys',
  unplugMs: 100,
  tray: 'free',
};

const words: Readonly<Record<string, readonly string[]>> = {
  power: ['obeys', 'ignores'],
  agent: ['works', 'absent', 'silent'],
  unplug: ['obeys', 'refuses', 'ignores'],
  tray: ['free', 'locked'],
};
const DELAYS = ['powerMs', 'agentStartMs', 'unplugMs'];

/** Checks a change that came as JSON. @throws Error that names the field */
export function parseGuestChange(change: Readonly<Record<string, unknown>>): Partial<GuestBehaviour> {
  for (const [name, value] of Object.entries(change)) {
    const allowed = Object.hasOwn(words, name) ? words[name] : undefined;
    const valid = allowed
      ? allowed.includes(String(value))
      : DELAYS.includes(name) && typeof value === 'number' && value >= 0;
    if (!valid) throw new Error(`a guest has no '${name}' of ${JSON.stringify(value)}`);
  }
  return change;
}
