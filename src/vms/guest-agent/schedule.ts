/**
 * When a guest agent is asked what. Pure.
 *
 * The poller goes over the VMs every 5 s. A young guest's facts come in one after the other, so in its first two minutes
 * everything is asked in each loop; later each command has its period. An agent that is silent is left alone for a
 * minute, then for longer and longer. All as VDSM does it (virt/qemuguestagent.py), but for the last.
 */

export const agentCommands = [
  'capabilities',
  'users',
  'cpus',
  'interfaces',
  'hostname',
  'os',
  'timezone',
  'filesystems',
  'devices',
] as const;
export type AgentCommand = (typeof agentCommands)[number];

/** Seconds; 0: never. */
export type PollPeriods = Readonly<Record<AgentCommand, number>>;

export const LOOP_MS = 5000;
const YOUNG_MS = 120_000;
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 600_000;

/** The command's name in the agent's protocol: guest-info lists those that the agent has. */
const protocolNames: Readonly<Record<AgentCommand, string>> = {
  capabilities: 'guest-info',
  users: 'guest-get-users',
  cpus: 'guest-get-vcpus',
  interfaces: 'guest-network-get-interfaces',
  hostname: 'guest-get-host-name',
  os: 'guest-get-osinfo',
  timezone: 'guest-get-timezone',
  filesystems: 'guest-get-fsinfo',
  devices: 'guest-get-devices',
};

export interface Progress {
  /** Monotonic ms of the loop in which each command was asked last. */
  readonly asked: ReadonlyMap<AgentCommand, number>;
  /** What the agent says it has; undefined before it said. */
  readonly supported: ReadonlySet<string> | undefined;
}

/**
 * The command to be asked next in the loop that began at `loopMs`; undefined where none is due. Capabilities come first,
 * so that nothing is asked that the agent does not know.
 */
export function nextCommand(
  periods: PollPeriods,
  { asked, supported }: Progress,
  loop: { readonly loopMs: number; readonly young: boolean },
): AgentCommand | undefined {
  return agentCommands.find((command) => {
    const periodMs = periods[command] * 1000;
    if (periodMs <= 0) return false;
    if (supported && command !== 'capabilities' && !supported.has(protocolNames[command])) return false;
    const last = asked.get(command);
    if (last === undefined) return true;
    // Loops are not exactly 5 s apart: half a loop early is on time.
    return loop.loopMs - last >= (loop.young ? LOOP_MS : periodMs) - LOOP_MS / 2;
  });
}

/** @param ageMs since the guest's start */
export function isYoung(ageMs: number): boolean {
  return ageMs < YOUNG_MS;
}

/** How long an agent is left alone after it failed to answer so many times in a row, ms. */
export function pauseMs(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1));
}
