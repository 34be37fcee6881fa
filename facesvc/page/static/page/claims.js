/** What a token says of itself, read as the service reads it. The service alone decides who may do what. */

/** The claim of this name, or one inside another whose name is before a dot, as the service reads it. */
export function claimOf(claims, name) {
  if (typeof claims !== "object" || claims === null) return undefined;
  if (Object.hasOwn(claims, name)) return claims[name];
  for (let at = name.indexOf("."); at >= 0; at = name.indexOf(".", at + 1)) {
    const found = claimOf(claims[name.slice(0, at)], name.slice(at + 1)) ?? null;
    if (found !== null) return found;
  }
  return undefined;
}

/** Whether the claims have this scope. Scopes that JWT_CLIENT_SCOPES gives a client stand in no token. */
export function hasScope(claims, scope) {
  const {scopeClaims, scopePrefix} = document.body.dataset;
  const given = JSON.parse(scopeClaims).flatMap((name) => claimOf(claims, name) ?? []);
  return given.flatMap((each) => String(each).split(/\s+/)).includes(scopePrefix + scope);
}
