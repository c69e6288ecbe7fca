import { expect, test } from "vitest";
import { csv, fileName } from "./csv";

const line = (...row: (string | number | null)[]) =>
  csv({ columns: [], rows: [row] }).split("\r\n")[1];

test("a table begins with its columns and says that it is UTF-8", () => {
  const text = csv({ columns: ["run", "step"], rows: [["ünï", 1], ["b", null]] });
  expect(text).toBe("\ufeffrun,step\r\nünï,1\r\nb,\r\n");
});

test.each([
  "=1+1",
  "+1",
  "-1",
  "@SUM(A1)",
  "\t=1",
  "\r=1",
  "\n=1",
  " =1",
  "＝1",
  "=cmd|' /C calc'!A0",
])("the text %j is no formula", (name) => {
  expect(line(name)!.replace(/^"/, "").startsWith("'")).toBe(true);
});

test("numbers stay numbers, negative ones too", () => {
  expect(line(-0.5, 1e-12, 0)).toBe("-0.5,1e-12,0");
});

test("what separates cells and lines is quoted", () => {
  expect(line('say "a,b"', "plain")).toBe('"say ""a,b""",plain');
  expect(csv({ columns: ["a\nb"], rows: [] })).toBe('\ufeff"a\nb"\r\n');
});

test("a file's name has nothing that a system could misread", () => {
  expect(fileName("layers", "../../etc/passwd")).toBe("layers-.._.._etc_passwd");
  expect(fileName("..")).toBe("tfdiag");
  expect(fileName("run", "ünï:コード?*")).toBe("run-ünï_コード_");
  expect(fileName("x".repeat(500))).toHaveLength(100);
});
