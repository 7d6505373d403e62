// The version of this program, the same as in package.json (a test compares them). Members tell it
// to each other; it never decides anything.

export const VERSION = '0.1.0'
