/**
 * The faults that arrive at random, one after the other: each injects itself, waits, undoes itself, and says what
 * became of it. What a fault excuses (a hung VM's own samples, everybody's while no daemon runs) it says to the witness.
 */
import { frame, RawWebSocket } from '../../test/support/raw-websocket.js';
import type { World } from './world.js';

export interface Fault {
  readonly name: string;
  /** Resolves when the world is whole again. @returns seconds until it was noticed and until it was over, where that is told */
  run(world: World): Promise<{ readonly detectedSec?: number; readonly recoveredSec?: number }>;
}

const sec = (sinceMs: number): number => (performance.now() - sinceMs) / 1000;

async function until(condition: () => Promise<boolean> | boolean, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`it did not come to pass within ${limitMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function hang(count: number): Fault {
  return {
    name: `${count} hung QEMU${count === 1 ? '' : 's'}`,
    async run(world) {
      const { host, witness, hung, random, options } = world;
      const running = [...host.domains].filter(({ running: runs, monitor }) => runs && !monitor.hung);
      const ids = Array.from({ length: count }, () => random.pick(running)!.config.uuid);
      const victims = [...new Set(ids)];
      const begunMs = performance.now();
      for (const id of victims) {
        witness.excuse(id, Infinity);
        world.hang(id);
      }
      const limitMs = (options.periodSec + 20) * 1000;
      let detectedSec: number;
      try {
        await until(() => victims.every((id) => told(world, id) === '-1'), limitMs);
        detectedSec = sec(begunMs);
        await world.rest(random.between(2000, 10_000));
      } finally {
        for (const id of victims) world.release(id);
      }
      const releasedMs = performance.now();
      await until(() => victims.every((id) => told(world, id) !== '-1'), 120_000);
      for (const id of victims) hung.delete(id);
      world.pardon(victims);
      return { detectedSec, recoveredSec: sec(releasedMs) };
    },
  };
}

/** monitorResponse as the engine was told last. */
function told(world: World, id: string): unknown {
  return world.direct.monitor.vms.get(id)?.fields['monitorResponse'];
}

const slow: Fault = {
  name: 'slow QEMUs',
  async run(world) {
    Object.assign(world.serviceTime, { meanMs: 1, jitter: 0.5, tail: 0.02, tailMs: 200 });
    await world.rest(world.random.between(10_000, 20_000));
    Object.assign(world.serviceTime, { meanMs: 0, jitter: 0, tail: 0, tailMs: 0 });
    return {};
  },
};

const daemonDies: Fault = {
  name: 'libvirtd killed',
  async run(world) {
    const begunMs = performance.now();
    world.excuseAll(3_600_000);
    await world.killDaemon();
    await until(() => world.libvirtState().then((state) => state !== 'open'), 10_000);
    const detectedSec = sec(begunMs);
    for (let n = 0; n < 20; n++) world.ledger.change(world.random);
    await world.rest(world.random.between(500, 8000));
    await world.startDaemon();
    const backMs = performance.now();
    await until(() => world.libvirtState().then((state) => state === 'open'), 30_000);
    const recoveredSec = sec(backMs);
    await world.direct.untilEquals(world.truth, 60_000);
    world.endExcuse();
    return { detectedSec, recoveredSec };
  },
};

const lies: Fault = {
  name: 'libvirtd lies',
  async run(world) {
    world.excuseAll(3_600_000);
    world.lie = (packet) => {
      if (world.random.next() > 0.02) return packet;
      const copy = Buffer.from(packet);
      const kind = world.random.next();
      if (kind < 0.2) return undefined;
      if (kind < 0.4) return copy.subarray(0, Math.max(4, Math.floor(copy.length * world.random.next())));
      if (kind < 0.5) copy.writeUInt32BE(0xffff_ffff, 0);
      else copy[Math.floor(world.random.next() * copy.length)]! ^= 0xff;
      return copy;
    };
    await world.rest(world.random.between(2000, 5000));
    world.lie = undefined;
    const honestMs = performance.now();
    await world.direct.untilEquals(world.truth, 120_000);
    world.endExcuse();
    return { recoveredSec: sec(honestMs) };
  },
};

const hostile: Fault = {
  name: 'hostile clients',
  async run(world) {
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawWebSocket.open(world.port)));
    const [deaf, greedy, ...others] = clients;
    deaf?.write(frame('{"jsonrpc":"2.0","id":1,"method":"Agent.subscribe"}'));
    deaf?.socket.pause();
    greedy?.socket.pause();
    for (let n = 0; n < 200; n++) {
      greedy?.write(frame('{"jsonrpc":"2.0","id":1,"method":"Host.getAllVmStats"}'));
      for (const client of others) client.write(frame(Buffer.from(String(world.random.next()).repeat(20))));
      if (n % 20 === 0) world.ledger.change(world.random);
      await world.rest(5);
    }
    others[0]?.write(frame(Buffer.from([0xc3, 0x28])));
    others[1]?.write(frame(Buffer.alloc(2 << 20)));
    others[2]?.write(Buffer.from('not a frame at all'));
    await world.rest(1000);
    for (const client of clients) client.destroy();
    return {};
  },
};

const cuts: Fault = {
  name: 'connection cut',
  async run(world) {
    for (let cut = 0; cut < 3; cut++) {
      await world.relay.cut();
      for (let n = 0; n < 30; n++) {
        world.ledger.change(world.random);
        await world.rest(10);
      }
      await world.relay.open();
      for (let n = 0; n < 10; n++) {
        world.ledger.change(world.random);
        await world.rest(10);
      }
    }
    const openMs = performance.now();
    await world.relayed.until('synchronised', () => world.relayed.monitor.synchronised);
    return { recoveredSec: sec(openMs) };
  },
};

const twoEngines: Fault = {
  name: 'two engines compared',
  async run(world) {
    // A cycle may end between the two answers; then they are asked again.
    await until(async () => {
      const [one, two] = await Promise.all(
        [world.direct, world.relayed].map((engine) => engine.client.call('Host.getAllVmStats', {})),
      );
      const figures = (records: typeof one): string =>
        JSON.stringify(records?.map(({ statusTime: _time, ...rest }) => rest));
      return figures(one) === figures(two);
    }, 30_000);
    return {};
  },
};

export const faults: readonly Fault[] = [
  hang(1),
  hang(6),
  hang(21),
  slow,
  daemonDies,
  lies,
  hostile,
  cuts,
  twoEngines,
];
