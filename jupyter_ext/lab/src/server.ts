import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** What the server extension said was wrong. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly ours: boolean, // false if the extension is missing
    readonly question = '' // asked of the user; if they agree, the request is repeated with allow
  ) {
    super(message);
  }
}

/** The version that the server's half had when it last answered; empty before. */
export let serverVersion = '';

/** Ask the server extension; Refused with its own words, or TypeError where no server answers. */
export async function ask(path: string, method = 'GET', body?: unknown, session?: string): Promise<any> {
  const settings = ServerConnection.makeSettings();
  const url = URLExt.join(settings.baseUrl, 'codeintel/v1', path);
  let response: Response;
  try {
    const headers: Record<string, string> = {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(session ? { 'X-Session-ID': session } : {})
    };
    response = await ServerConnection.makeRequest(
      url,
      { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
      settings
    );
  } catch (error) {
    throw new TypeError(`The Jupyter server does not answer (${(error as Error).message}).`, { cause: error });
  }
  const version = response.headers.get('X-CodeIntel-Version');
  serverVersion = version ?? serverVersion;
  const text = await response.text();
  if (response.ok) {
    return text ? JSON.parse(text) : null;
  }
  let said = response.statusText;
  let question = '';
  try {
    const problem = JSON.parse(text);
    said = problem.detail ?? said;
    question = problem.question ?? '';
  } catch {
    // a page of somebody in between
  }
  throw new Refused(response.status, said, version !== null, question);
}

/** A path of several parts, each of which may hold anything. */
export function place(...parts: string[]): string {
  if (parts.some(part => ['', '.', '..'].includes(part))) {
    throw new Error(`The name "${parts[parts.length - 1]}" is not valid.`);
  }
  return parts.map(encodeURIComponent).join('/');
}
