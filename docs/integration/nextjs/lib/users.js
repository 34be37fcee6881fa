/** The users of your app, as your database has them. Their ids are any text. */

const USERS = [{id: "usr_7f3a", name: "ann"}, {id: "usr_91bc", name: "ben"}];

/** @param {unknown} name */
export function userByName(name) {
  return USERS.find((user) => user.name === name);
}
