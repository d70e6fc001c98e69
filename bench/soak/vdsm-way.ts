/**
 * The baseline: statistics as VDSM samples them. Once per period one NOWAIT bulk call for every group of every domain,
 * without those whose control info says that their monitor is held; a call that does not end within its period gives
 * nobody a sample, is left hanging, and the next one is made on a connection of its own.
 */
import type { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { LibvirtClient, StatsFlag, StatsGroup } from '../../src/libvirt/client.js';

const ALL_GROUPS = Object.values(StatsGroup).reduce((all, group) => all | group, 0);
/** VDSM gives up after 30 stuck threads; so many connections are held here at most. */
const MAX_HANGING = 30;
const OK = 0;

export class VdsmWay {
  lost = 0;
  samples = 0;
  cycles = 0;
  #client: LibvirtClient | undefined;
  readonly #hanging: LibvirtClient[] = [];
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(
    private readonly parts: {
      readonly uri: string;
      readonly periodMs: number;
      readonly host: SimulatedHost;
      /** False: the VM is not expected to be sampled now. */
      readonly healthy: (id: string) => boolean;
    },
  ) {}

  start(): void {
    this.#timer = setInterval(() => void this.#cycle(), this.parts.periodMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(
      [...this.#hanging, ...(this.#client ? [this.#client] : [])].map((client) => client.close()),
    );
  }

  #expected(): number {
    const all = [...this.parts.host.domains];
    return all.filter(({ running, config }) => running && this.parts.healthy(config.uuid)).length;
  }

  async #cycle(): Promise<void> {
    // The one before has not ended: VDSM's task is still in its worker.
    const expected = this.#expected();
    this.cycles++;
    if (this.#busy) {
      this.lost += expected;
      return;
    }
    this.#busy = true;
    try {
      await this.#sample();
      this.samples += expected;
    } catch {
      this.lost += expected;
      if (this.#client && this.#hanging.length < MAX_HANGING) this.#hanging.push(this.#client);
      this.#client = undefined;
    } finally {
      this.#busy = false;
    }
  }

  async #sample(): Promise<void> {
    const deadlineMs = this.parts.periodMs;
    this.#client ??= await LibvirtClient.connect(this.parts.uri);
    const client = this.#client;
    const { domains } = await client.call(
      'CONNECT_LIST_ALL_DOMAINS',
      { needResults: 1, flags: 1 },
      { deadlineMs },
    );
    const ready = await Promise.all(
      domains.map(async (dom) => {
        const info = await client
          .call('DOMAIN_GET_CONTROL_INFO', { dom, flags: 0 }, { deadlineMs })
          .catch(() => undefined);
        return info?.state === OK;
      }),
    );
    const responsive = domains.filter((_, index) => ready[index]);
    const flags = StatsFlag.nowait;
    await client.getAllDomainStats({ groups: ALL_GROUPS, flags, doms: responsive }, { deadlineMs });
  }
}
