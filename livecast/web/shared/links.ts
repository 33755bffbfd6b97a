/** Addresses that come from outside. */

/** Origins beside our own from which the policy of the pages lets pictures and video in. */
const MEDIA = new Set((document.documentElement.dataset.media ?? '').split(' ').filter(Boolean));

/** The room that the page is of: `/r/ROOM`, `/host/ROOM`… What cannot be read is a name that no room has. */
export function roomOfAddress(): string {
  const written = location.pathname.split('/')[2] ?? '';
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}

/** An address that may be opened: http(s) and nothing else. */
export function safeLink(url: string | null | undefined): string | undefined {
  if (!url) return undefined;
  try {
    const parsed = new URL(url, location.href);
    return parsed.protocol === 'https:' || parsed.protocol === 'http:' ? parsed.href : undefined;
  } catch {
    return undefined;
  }
}

/** An address that a picture or video may be loaded from. */
export function mediaLink(url: string | null | undefined): string | undefined {
  const link = safeLink(url);
  if (!link) return undefined;
  const { origin } = new URL(link);
  return origin === location.origin || MEDIA.has(origin) ? link : undefined;
}
