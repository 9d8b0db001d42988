/** What the programs share: the task that they were given, and saying a line. */

/** The task: the one argument, as JSON. */
export const task = JSON.parse(process.argv[2]);

/** Says one line: a JSON object with a type. */
export function say(type, more = {}) {
  console.log(JSON.stringify({ type, ...more }));
}

/** An error as it is said: of what class, which words, which code and status where it has them. */
export function told(error) {
  if (!error) return null;
  const { name, message, status, code, param, type } = error;
  return { class: error.constructor?.name, name, message, status, code, param, type, request_id: error.requestID };
}
