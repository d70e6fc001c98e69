/**
 * Many domain XML documents without stalling the event loop: a few are parsed here, one per turn of the loop;
 * many, or large ones, in threads. A document that cannot be parsed yields its Error and spoils no other.
 */
import { setImmediate } from 'node:timers/promises';
import type { DomainDescription } from '../domain/devices.js';
import { WorkerPool } from '../util/workers.js';
import { parseDomainXml } from './domain-xml.js';

/** Fewer than these are not worth the 35 MB that a thread takes: parsed here they are less than 60 ms in all. */
export const MANY = 200;
/** About 1.5 ms of parsing. */
const LARGE_CHARACTERS = 32 * 1024;
/** What one task carries: so little that copying it to the thread does not stall the loop either. */
const CHUNK_DOCUMENTS = 25;
const CHUNK_CHARACTERS = 512 * 1024;

/** A thread's answer. The text is not sent back. */
export type ParsedDocument = Omit<DomainDescription, 'xml'> | { readonly error: string };

export function domainXmlWorkers(): WorkerPool {
  return new WorkerPool(new URL('./domain-xml-worker.js', import.meta.url), 'parseDocuments');
}

/**
 * Descriptions in the order of the documents, an Error in the place of a document that is no domain.
 *
 * @param workers from domainXmlWorkers(); without it everything is parsed on the calling thread
 * @param ofTotal how many documents there are, where these are one batch of them
 */
export async function parseDomainXmlMany(
  xmls: readonly string[],
  workers?: WorkerPool,
  ofTotal = xmls.length,
): Promise<(DomainDescription | Error)[]> {
  const heavy = ofTotal >= MANY || xmls.some((xml) => xml.length > LARGE_CHARACTERS);
  if (!workers || !heavy) return parseInTurns(xmls);
  const chunks = await Promise.all(chunksOf(xmls).map((chunk) => parseInThread(chunk, workers)));
  return chunks.flat();
}

async function parseInTurns(xmls: readonly string[]): Promise<(DomainDescription | Error)[]> {
  const parsed: (DomainDescription | Error)[] = [];
  for (const xml of xmls) {
    if (parsed.length > 0) await setImmediate();
    try {
      parsed.push(parseDomainXml(xml));
    } catch (error) {
      parsed.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
  return parsed;
}

async function parseInThread(
  xmls: readonly string[],
  workers: WorkerPool,
): Promise<(DomainDescription | Error)[]> {
  const parsed = (await workers.run(xmls)) as ParsedDocument[];
  return parsed.map((document, i) =>
    'error' in document ? new Error(document.error) : { ...document, xml: xmls[i]! },
  );
}

function chunksOf(xmls: readonly string[]): string[][] {
  const chunks: string[][] = [];
  let characters = Infinity;
  for (const xml of xmls) {
    const last = chunks.at(-1);
    if (last && last.length < CHUNK_DOCUMENTS && characters + xml.length <= CHUNK_CHARACTERS) {
      last.push(xml);
      characters += xml.length;
    } else {
      chunks.push([xml]);
      characters = xml.length;
    }
  }
  return chunks;
}
