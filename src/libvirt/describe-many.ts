/**
 * The XML of many domains, read and parsed side by side: each reader fetches a batch, has it parsed, and goes on,
 * so that neither the connection nor the parser waits for the whole and only a few batches are in memory as text.
 */
import type { DomainDescription } from '../domain/devices.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { Logger } from '../util/log.js';
import type { WorkerPool } from '../util/workers.js';
import { parseDomainXmlMany } from './domain-xml-many.js';

/** One less than a connection takes, so that another call on the lane finds room. */
const READERS = 3;
/** Worth a trip to a thread. */
const BATCH = 25;

export interface DescribeDeps {
  readonly log: Logger;
  readonly workers?: WorkerPool;
}

/**
 * In any order. Domains that vanished meanwhile are left out, as are (with an error logged) those whose XML makes
 * no sense: one broken domain must not hide the others.
 */
export async function describeMany(
  readXml: (id: VmId) => Promise<string>,
  ids: readonly VmId[],
  deps: DescribeDeps,
): Promise<DomainDescription[]> {
  const described: DomainDescription[] = [];
  const queue = ids.values();
  const wanted = new Set(ids);
  const reader = async (): Promise<void> => {
    for (
      let batch = await nextBatch(queue, readXml);
      batch.length > 0;
      batch = await nextBatch(queue, readXml)
    ) {
      for (const result of await parseDomainXmlMany(batch, deps.workers, ids.length)) {
        if (result instanceof Error)
          deps.log.error({ err: result }, 'left out a domain: its XML cannot be parsed');
        else if (wanted.has(result.id)) described.push(result);
        else deps.log.error({ vmId: result.id }, 'left out a domain: its XML was not asked for');
      }
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return described;
}

/** Empty when the queue is. */
async function nextBatch(queue: Iterator<VmId>, readXml: (id: VmId) => Promise<string>): Promise<string[]> {
  const batch: string[] = [];
  while (batch.length < BATCH) {
    const next = queue.next();
    if (next.done) break;
    const xml = await readXml(next.value).catch(undefinedIfGone);
    if (xml !== undefined) batch.push(xml);
  }
  return batch;
}

function undefinedIfGone(error: unknown): undefined {
  if (error instanceof HypervisorError && error.kind === 'no-domain') return undefined;
  throw error;
}
