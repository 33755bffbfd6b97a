/** Who looks at a page: a token that came with its address. */

/** `#token=…`: a fragment reaches no server and no log. It is taken out of the address, and kept for reloads of this tab. */
export function tokenOfAddress(): string | undefined {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  const key = `livecast.token.${location.pathname}`;
  try {
    if (given) {
      history.replaceState(null, '', location.pathname + location.search);
      sessionStorage.setItem(key, given);
    }
    return given ?? sessionStorage.getItem(key) ?? undefined;
  } catch {
    return given ?? undefined;
  }
}
