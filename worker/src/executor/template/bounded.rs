//! An end to what a template can make: fuel bounds its steps, and this the size of what a step makes.
//!
//! A task that asks for an indent of a terabyte must not take its worker down. The language bounds `*` and `range`;
//! filters that make something large out of something small are bounded here, and so is all that comes out. What a
//! template of the operator's gathers in variables of its own remains the operator's matter.

use std::{
    io,
    panic::{self, AssertUnwindSafe},
};

use minijinja::{
    Environment, Error, ErrorKind, State, Value, filters,
    value::{Rest, ValueOrKwargs},
};

/// Most bytes that a string of a template may become.
pub(crate) const LARGEST: usize = 4 << 20;

/// Most items that a filter goes through or makes.
const MOST_ITEMS: usize = 1 << 20;

/// Widest indent or column.
const WIDEST: usize = 1000;

/// Says what is wrong with the arguments of a filter, the value first.
type Check = fn(&[Value]) -> Result<(), &'static str>;

/// Puts bounded filters in the place of those that have no bound.
pub(super) fn add_filters(environment: &mut Environment<'_>) {
    let of = Value::from_function::<fn(&State, Value) -> Result<Value, Error>, _, _>;
    let filters: [(&'static str, Value, Check); 9] = [
        ("batch", Value::from_function(filters::batch), groups),
        ("format", Value::from_function(filters::format), columns),
        ("indent", Value::from_function(filters::indent), indents),
        ("join", Value::from_function(filters::join), joins),
        ("list", of(filters::list), items),
        ("replace", Value::from_function(filters::replace), replaces),
        ("slice", Value::from_function(filters::slice), groups),
        ("sort", Value::from_function(filters::sort), items),
        ("tojson", Value::from_function(filters::tojson), indents),
    ];
    for (name, filter, check) in filters {
        environment.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            check(&args).map_err(|why| Error::new(ErrorKind::InvalidOperation, format!("{name}: {why}")))?;
            filter.call(state, &args)
        });
    }
}

const TOO_LARGE: &str = "it would make too much text";
const TOO_MANY: &str = "there are too many items";

fn text(args: &[Value], at: usize) -> &str {
    args.get(at).and_then(Value::as_str).unwrap_or_default()
}

/// The numbers among the arguments, named ones too.
fn numbers(args: &[Value]) -> impl Iterator<Item = usize> {
    let named = args.iter().filter(|arg| arg.is_kwargs()).flat_map(|named| {
        let names = named.try_iter().into_iter().flatten();
        names.filter_map(|name| named.get_item(&name).ok()).collect::<Vec<_>>()
    });
    args.iter().skip(1).cloned().chain(named).filter_map(|arg| usize::try_from(arg).ok())
}

fn items(args: &[Value]) -> Result<(), &'static str> {
    let many =
        |value: &Value| value.as_str().is_none() && value.len().is_some_and(|items| items > MOST_ITEMS);
    if args.first().is_some_and(many) { Err(TOO_MANY) } else { Ok(()) }
}

fn groups(args: &[Value]) -> Result<(), &'static str> {
    items(args)?;
    if numbers(args).any(|number| number > MOST_ITEMS) { Err(TOO_MANY) } else { Ok(()) }
}

/// Each line, and in JSON each value on each level, may get the whole indent.
fn indents(args: &[Value]) -> Result<(), &'static str> {
    items(args)?;
    let width = numbers(args).max().unwrap_or(0);
    let lines = text(args, 0).split('\n').count();
    if width > WIDEST || width.saturating_mul(lines) > LARGEST { Err(TOO_LARGE) } else { Ok(()) }
}

fn joins(args: &[Value]) -> Result<(), &'static str> {
    items(args)?;
    let items = args.first().and_then(Value::len).unwrap_or(0);
    if items.saturating_mul(text(args, 1).len()) > LARGEST { Err(TOO_LARGE) } else { Ok(()) }
}

fn replaces(args: &[Value]) -> Result<(), &'static str> {
    let (old, new) = (text(args, 1), text(args, 2));
    let most = text(args, 0).len() / old.len().max(1) + 1;
    if new.len() > old.len() && most.saturating_mul(new.len()) > LARGEST {
        // Counted only where it might matter.
        let count = text(args, 0).matches(old).count();
        if count.saturating_mul(new.len()) > LARGEST {
            return Err(TOO_LARGE);
        }
    }
    Ok(())
}

/// A width or a precision of more than three digits, or one that is an argument.
fn columns(args: &[Value]) -> Result<(), &'static str> {
    let widths = text(args, 0).split(|c: char| !c.is_ascii_digit());
    let wide = widths.map(|digits| digits.trim_start_matches('0').len()).any(|digits| digits > 3);
    if wide || (text(args, 0).contains('*') && numbers(args).any(|number| number > WIDEST)) {
        return Err(TOO_LARGE);
    }
    Ok(())
}

/// A panic within the template language, such as that of `''[::-1]`, as an error of the template.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, &'static str> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| "the template language failed at it")
}

/// Takes no more than [`LARGEST`] bytes.
#[derive(Default)]
pub(crate) struct Bounded(pub(crate) Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
