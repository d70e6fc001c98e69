/**
 * The QEMU processes of this machine, as far as the kernel tells them without asking them: whether one is stopped, or
 * its main thread, which serves the monitor, is blocked on storage. A frozen QEMU is found so without a call to libvirt
 * that would hang.
 *
 * A process is found by libvirt's pid file, else by the VM's id on the command line of some process; either way the
 * command line is what proves it. Pid and start time are kept together: a pid that was given to another process is
 * noticed. Where nothing is found (containers, a remote or simulated host, files of another user) that is remembered
 * for a while. One look costs three system calls, 6 to 10 us.
 */
import { closeSync, openSync, readSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { VmId } from '../domain/ids.js';
import type { Clock } from '../util/time.js';
import { parseRunTime, parseTaskStat, type TaskStat } from './task-stat.js';

export interface QemuProcessesOptions {
  readonly clock: Clock;
  readonly procFolder?: string;
  /** Where libvirt keeps NAME.pid; the first that has it counts. */
  readonly pidFolders?: readonly string[];
}

interface Known {
  readonly pid: number;
  readonly startTime: string;
  /** The main thread's stat, not the process's: that one adds up all threads. */
  readonly statPath: string;
  readonly runPath: string;
  /** When its main thread was first seen in the wait it is still in, and its run time then. */
  waiting: { readonly sinceMs: number; readonly runTime: string } | undefined;
}

/** As sampler/quarantine.ts explains it. */
export type QemuState = 'stopped' | 'blocked' | 'waiting' | 'alive' | 'unknown';

/** How long an unsuccessful search is believed. */
const ABSENT_MS = 60_000;
/** Shorter waits are usual: the disk works. */
const BLOCKED_AFTER_MS = 200;
const PROCESSES_PER_TURN = 32;
const SCAN_PAUSE_MS = 5000;
/** libvirt's command lines have some 5 kB; the id is in the first half. */
const buffer = Buffer.allocUnsafe(64 * 1024);

export class QemuProcesses {
  readonly #clock: Clock;
  readonly #proc: string;
  readonly #pidFolders: readonly string[];
  readonly #known = new Map<VmId, Known>();
  /** VMs without a process to see, and until when that is believed, monotonic ms. */
  readonly #absent = new Map<VmId, number>();
  /** Looked for by the scan under way, or the next. */
  readonly #wanted = new Set<VmId>();
  #scanning = false;
  #nextScanMs = -Infinity;

  constructor(options: QemuProcessesOptions) {
    this.#clock = options.clock;
    this.#proc = options.procFolder ?? '/proc';
    this.#pidFolders = options.pidFolders ?? ['/run/libvirt/qemu'];
  }

  /** Never blocks on the process. 'unknown' also while it is being searched for. */
  look(id: VmId, name: string): QemuState {
    const known = this.#known.get(id) ?? this.#find(id, name);
    if (!known) return 'unknown';
    const stat = readStat(known.statPath);
    if (stat?.startTime !== known.startTime) {
      this.#known.delete(id);
      return 'unknown';
    }
    return this.#judge(known, stat);
  }

  pid(id: VmId): number | undefined {
    return this.#known.get(id)?.pid;
  }

  forget(id: VmId): void {
    this.#known.delete(id);
    this.#absent.delete(id);
    this.#wanted.delete(id);
  }

  #judge(known: Known, { state, cpuTicks }: TaskStat): QemuState {
    if (state === 'T' || state === 't') return 'stopped';
    if (state === 'Z' || state === 'X') return 'unknown';
    if (state !== 'D') {
      known.waiting = undefined;
      return 'alive';
    }
    const nowMs = this.#clock.nowMs();
    const runTime = parseRunTime(readText(known.runPath) ?? '') || cpuTicks;
    if (known.waiting?.runTime !== runTime) {
      known.waiting = { sinceMs: nowMs, runTime };
      return 'waiting';
    }
    return nowMs - known.waiting.sinceMs >= BLOCKED_AFTER_MS ? 'blocked' : 'waiting';
  }

  #find(id: VmId, name: string): Known | undefined {
    const nowMs = this.#clock.nowMs();
    if ((this.#absent.get(id) ?? 0) > nowMs) return undefined;
    const known = this.#byPidFile(id, name);
    if (!known) {
      this.#absent.set(id, nowMs + ABSENT_MS);
      this.#wanted.add(id);
      this.#scanSoon(nowMs);
    }
    return known;
  }

  #byPidFile(id: VmId, name: string): Known | undefined {
    // libvirt allows everything else in a name, and uses it as it is.
    if (name === '' || name.includes('/') || name.includes('\0')) return undefined;
    for (const folder of this.#pidFolders) {
      const path = join(folder, `${name}.pid`);
      if (!existsSync(path)) continue;
      const pid = Number(readText(path)?.trim());
      if (Number.isInteger(pid) && pid > 0 && this.#idsOf(pid).includes(id)) return this.#keep(id, pid);
    }
    return undefined;
  }

  #keep(id: VmId, pid: number): Known | undefined {
    const statPath = `${this.#proc}/${pid}/task/${pid}/stat`;
    const startTime = readStat(statPath)?.startTime;
    if (startTime === undefined) return undefined;
    const runPath = `${this.#proc}/${pid}/task/${pid}/schedstat`;
    const known: Known = { pid, startTime, statPath, runPath, waiting: undefined };
    this.#absent.delete(id);
    this.#known.set(id, known);
    return known;
  }

  /** Ids that stand behind `-uuid`: one for a QEMU of libvirt, none for other processes. */
  #idsOf(pid: number): string[] {
    const words = readText(`${this.#proc}/${pid}/cmdline`)?.split('\0') ?? [];
    return words.filter((_, index) => words[index - 1] === '-uuid');
  }

  /** One search for all that are wanted, in turns of its own. */
  #scanSoon(nowMs: number): void {
    if (this.#scanning || nowMs < this.#nextScanMs) return;
    this.#scanning = true;
    this.#nextScanMs = nowMs + SCAN_PAUSE_MS;
    setImmediate(() => this.#scan(this.#pids()));
  }

  #pids(): number[] {
    try {
      return readdirSync(this.#proc)
        .map(Number)
        .filter((pid) => Number.isInteger(pid) && pid > 0);
    } catch {
      return [];
    }
  }

  #scan(pids: number[]): void {
    for (const pid of pids.splice(0, PROCESSES_PER_TURN)) {
      for (const id of this.#idsOf(pid) as VmId[]) if (this.#wanted.delete(id)) this.#keep(id, pid);
    }
    if (pids.length > 0 && this.#wanted.size > 0) {
      setImmediate(() => this.#scan(pids));
      return;
    }
    this.#wanted.clear();
    this.#scanning = false;
  }
}

function readStat(path: string): TaskStat | undefined {
  const text = readText(path);
  return text === undefined ? undefined : parseTaskStat(text);
}

/** Undefined where it cannot be read. A file of the kernel is read in one go. */
function readText(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    return buffer.toString('latin1', 0, readSync(file, buffer, 0, buffer.length, 0));
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
