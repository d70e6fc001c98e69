/** The kernel's figures of one thread, parsed: /proc/PID/task/TID/stat and schedstat. Pure. */

export interface TaskStat {
  /** One letter: R running, S sleeping, D in an uninterruptible wait, T stopped, t traced, Z and X dead ... */
  readonly state: string;
  /** Clock ticks after boot, as text: with the pid it names the thread for good. */
  readonly startTime: string;
  /** Its time on a CPU, coarse: user and system, in clock ticks. */
  readonly cpuTicks: string;
}

/** Positions among the fields behind the name, of which the state is the first. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
const START_TIME = 19;

/** Undefined where it is no such line. The name may hold anything, spaces and parentheses too. */
export function parseTaskStat(text: string): TaskStat | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ', START_TIME + 1);
  const [state = '', startTime = ''] = [fields[0], fields[START_TIME]];
  if (!/^[A-Za-z]$/.test(state) || !/^\d+$/.test(startTime)) return undefined;
  return { state, startTime, cpuTicks: `${fields[USER_TICKS]}+${fields[SYSTEM_TICKS]}` };
}

/** What changes whenever the thread runs: its time on a CPU and how often it got one; '' where the kernel does not say. */
export function parseRunTime(schedstat: string): string {
  const [onCpuNs = '', , timesRun = ''] = schedstat.trim().split(' ');
  return timesRun === '' ? '' : `${onCpuNs}/${timesRun}`;
}
