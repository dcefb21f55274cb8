export function exampleOf(name: string): string {
  return name;
}
